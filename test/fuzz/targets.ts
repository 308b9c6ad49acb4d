import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { analyse } from '../../src/app/analyze/judge.ts';
import { traceDatEvidence } from '../../src/app/analyze/trace-dat.ts';
import { recogniseForeign } from '../../src/app/foreign.ts';
import { readIpText } from '../../src/formats/ip-text.ts';
import { isTraceDat } from '../../src/formats/trace-dat.ts';
import { mono, netnsInode } from '../../src/base/brand.ts';
import { recogniseLogLine } from '../../src/formats/app-log.ts';
import { decodeArptablesSave } from '../../src/formats/arptables-save.ts';
import { decodeBridgePorts, decodeBridgeVlans, decodeFdb } from '../../src/formats/bridge-json.ts';
import { parseBtf } from '../../src/formats/btf.ts';
import { decodeBurst } from '../../src/formats/conntrack-burst.ts';
import { decodeConntrackEvents, decodeConntrackStats, decodeConntrackTable } from '../../src/formats/conntrack-message.ts';
import { decodeEbtablesSave } from '../../src/formats/ebtables-save.ts';
import { parseEventFormat } from '../../src/formats/event-format.ts';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';
import { parseHeaderPage } from '../../src/formats/header-page.ts';
import { decodeAddresses, decodeLinks, decodeNeighbours, decodeRouteGet, decodeRoutes, decodeRules } from '../../src/formats/ip-json.ts';
import { decodeIpsetSave } from '../../src/formats/ipset-save.ts';
import { decodeIptablesSave } from '../../src/formats/iptables-save.ts';
import { functionRanges, parseKallsyms } from '../../src/formats/kallsyms.ts';
import { decodeWaitingNeighbours } from '../../src/formats/neighbour-message.ts';
import { decodeNetDev } from '../../src/formats/net-dev.ts';
import { decodeNetlinkError, walkAttributes, walkMessages, NLMSG_HEADER } from '../../src/formats/netlink.ts';
import { decodeConntrackStat } from '../../src/formats/nf-conntrack-stat.ts';
import { decodeNftJson } from '../../src/formats/nft-json.ts';
import { decodePacket } from '../../src/formats/packet.ts';
import { decodeProcSockets } from '../../src/formats/proc-sockets.ts';
import { readRingPage } from '../../src/formats/ring-page.ts';
import { decodeSnmp } from '../../src/formats/snmp.ts';
import { decodeSnmp6 } from '../../src/formats/snmp6.ts';
import { decodeSockDiag, type SockDiagKind } from '../../src/formats/sock-diag.ts';
import { decodeSoftnetStat } from '../../src/formats/softnet-stat.ts';
import { decodeSysctl } from '../../src/formats/sysctl-text.ts';
import { decodeClasses, decodeFilters, decodeQdiscs } from '../../src/formats/tc-json.ts';
import { decodeXfrmPolicies, decodeXfrmStates } from '../../src/formats/xfrm-text.ts';
import { flowOf } from '../../src/model/flow.ts';
import { decodeRecords, encodeRecord } from '../../src/recording/record-codec.ts';
import { readRecording } from '../../src/recording/file.ts';
import { decodeCall, decodeCallCounts, decodeCounts, decodeDrop, decodeExec, type Names } from '../../src/timeline/sample.ts';
import { symbolsOf } from '../../src/timeline/symbols.ts';
import { tracePages } from '../../src/timeline/trace-page.ts';

/** One decoder under fuzz: real inputs, and what is done with a mutated one. */
export type Target =
  | { readonly name: string; readonly kind: 'bytes'; readonly seeds: readonly Uint8Array[]; readonly decode: (input: Uint8Array) => unknown }
  | { readonly name: string; readonly kind: 'text'; readonly seeds: readonly string[]; readonly decode: (input: string) => unknown };

const folder = new URL('../../fixtures/', import.meta.url).pathname;
const bin = (name: string): Uint8Array => Uint8Array.from(readFileSync(folder + name));
const text = (name: string): string => readFileSync(folder + name, 'utf8');
const from64 = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const files = (under: string): readonly string[] => readdirSync(folder + under, { withFileTypes: true }).filter((f) => f.isFile()).map((f) => `${under}/${f.name}`);

// --- ring pages and BPF records

const V = '6.18';
const pages = (name: string): readonly Uint8Array[] => text(`tracefs/${name}`).trimEnd().split('\n').map((line) => Uint8Array.from(Buffer.from(line.split(' ')[2] ?? '', 'hex')));
const PAGES = [...pages('drops-6.18.pages'), ...pages('lost-6.18.pages').slice(0, 2), ...pages('drops-6.1.pages')];
const TASKS = JSON.stringify([{ tid: 15041, pid: 15040, parent: 7, uid: 0, netns: 4026532738, comm: 'python3', argv: ['python3', 'x.py'] }]);
const FORMATS = {
  header_page: text(`tracefs/header_page-${V}`), header_event: text(`tracefs/header_event-${V}`), 'skb/kfree_skb': text(`tracefs/kfree_skb-${V}.format`), 'ftrace/kernel_stack': text(`tracefs/kernel_stack-${V}.format`),
  'sched/sched_process_exec': text(`tracefs/sched_process_exec-${V}.format`), 'syscalls/sys_exit_sendto': text(`tracefs/sys_exit_sendto-${V}.format`),
};
const SYMBOLS = symbolsOf(text('tracefs/kallsyms-6.18-drops.txt'));
const NAMES: Names = { symbols: () => SYMBOLS, reason: (number) => ({ number, name: `reason ${number}` }), syscall: (nr) => `syscall ${nr}` };
const BPF = JSON.parse(text('bpf/records-6.18.json')) as { drops: readonly string[]; call: string; exec: string; counts: string; netns: number };
const TYPES = parseBtf(bin('bpf/types.btf'));
const NETNS = netnsInode(BPF.netns);

// --- texts of the ip, tc and sysctl tools

const WORLDS = files('network').map((f) => JSON.parse(text(f)) as { namespaces?: Record<string, Record<string, unknown>> });
/** The different answers to one question among the captured hosts; the shorter ones, for speed. */
const answers = (topic: RegExp, limit = 6): readonly string[] => {
  const all = new Set(WORLDS.flatMap((w) => Object.values(w.namespaces ?? {}).flatMap((n) => Object.entries(n).filter(([k]) => topic.test(k)).map(([, v]) => (typeof v === 'string' ? v : JSON.stringify(v))))));
  return [...all].filter((a) => a.length > 4 && a.length < 12_000).sort((a, b) => b.length - a.length).filter((_, i, l) => i % Math.max(1, Math.floor(l.length / limit)) === 0).slice(0, limit);
};

// --- a pcap of every protocol; a frame alone

const FRAMES = ((): readonly Uint8Array[] => {
  const pcap = bin('packets/traffic.pcap'), v = new DataView(pcap.buffer, pcap.byteOffset, pcap.length), out: Uint8Array[] = [];
  for (let at = 24; at + 16 <= pcap.length; at += 16 + v.getUint32(at + 8, true)) out.push(pcap.slice(at + 16, at + 16 + v.getUint32(at + 8, true)));
  return out.filter((_, i) => i % 4 === 0);
})();
/** An answered host and one that is not, 6.18. */
const NEIGHBOURS = Uint8Array.from(Buffer.from('4c0000001c0002000100000006740000020000000200000002000001080001000a0000020a0002004647213976b4000008000400040000001400030068000000680000006800000001000000' +
  '400000001c0002000100000006740000020000000200000001000001080001000a000063080004000500000014000300d8170000680000006800000001000000', 'hex'));
const LOG_LINES = [
  '2013-07-18 13:05:13\u00a0 www.1.com/192.168.200.220:65527 write UDPv4 []: Operation not permitted (code=1)',
  '2026-11-23 00:55:33 Authenticate/Decrypt packet error: packet HMAC authentication failed',
  '2026-11-22 22:49:15 us=261084 TCP/UDP: Incoming packet rejected from [AF_INET]10.99.0.2:48180[2], expected peer address: [AF_INET]10.99.0.2:1194 (allow this incoming source address/port by removing --remote or adding --float)',
  'Nov 22 17:45:46 ns1 named[812]: error (network unreachable) resolving example.org/A/IN: 2001:500:8f::53#53',
  '2026/11/22 17:45:46 [error] 31#31: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.7, server: , upstream: "http://10.0.0.9:8080/"',
];
const SAVE = text('rules/iptables-rich.txt');
const EBTABLES = '*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n:mine RETURN\n-A FORWARD -p IPv4 -i eth+ -s 02:00:00:00:00:01/ff:ff:ff:ff:ff:ff --ip-proto udp --ip-dport 1194:1195 -j DROP\n-A FORWARD -p ARP --arp-op Request -j mine\n-A mine --mark 0x1/0xff --limit 5/sec -j CONTINUE\n';
const ARPTABLES = '*filter\n:INPUT ACCEPT\n:OUTPUT DROP\n-A INPUT -j DROP -i eth0 -o any -s 10.0.0.1 -d ! 10.0.0.0/8 --opcode 1 --src-mac 02:00:00:00:00:01\n-A OUTPUT --h-length 6 --h-type 1 -j mangle --mangle-ip-s 10.0.0.9\n';
const XFRM_POLICY = 'src 10.0.0.0/24 dst 10.0.1.0/24 \n\tdir out action block priority 100 ptype main \n\ttmpl src 0.0.0.0 dst 0.0.0.0\n\t\tproto esp reqid 0 mode transport\nsrc ::/0 dst ::/0 proto udp sport 5 dport 6 uid 0\n\tsocket in action allow index 3 priority 0 ptype main\n';
const XFRM_STATE = 'src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000100(256) reqid 1(0x00000001) mode tunnel\n\treplay-window 32 seq 0x00000000 flag  (0x00000000)\n\tauth-trunc hmac(sha256) 0x01 128\n\tsel src 0.0.0.0/0 dst 0.0.0.0/0 uid 0\n\tstats:\n\t  replay-window 0 replay 0 failed 3\n';
const COUNTERS = files('counters').map(text);
const EVIDENCE = ['openvpn-6.1', 'openvpn-2013', 'rule-drop-6.18'].flatMap((f) => files(`analyze/${f}`)).map((f) => text(f).slice(0, 3000));
/** Texts of other tools, and of a folder like sosreport's; JSON of retis and pwru by their serialisation code. */
const TOOLS = [...files('analyze/tools'), ...['', '/sos_commands/networking', '/proc/net'].flatMap((f) => files(`analyze/sosreport-6.1${f}`))].map((f) => text(f).slice(0, 4000));
const TOOL_JSON = [
  '{"common":{"timestamp":30415793489711},"startup":{"retis_version":"v1.7.0","clock_monotonic_offset":{"sec":1742309146,"nsec":691042000},"machine":{"kernel_release":"6.12.9"}}}\n{"common":{"timestamp":1,"smp_id":1,"task":{"pid":2,"tgid":2,"comm":"x"}},"kernel":{"symbol":"__nft_trace_packet","probe_type":"kprobe"},"skb-tracking":{"orig_head":1,"timestamp":2,"skb":3},"nft":{"table_name":"fw","chain_name":"in","verdict":"drop","rule_handle":4,"policy":false},"ct":{"state":"new","ct_status":256,"orig":{"ip":{"src":"10.0.0.1","dst":"10.0.0.2","version":"v4"},"proto":{"udp":{"sport":1,"dport":2}}},"reply":{"ip":{"src":"10.0.0.2","dst":"10.0.0.1","version":"v4"},"proto":{"icmp":{"code":0,"type":8,"id":7}}},"mark":7}}\n{"common":{"timestamp":3,"smp_id":1},"kernel":{"symbol":"skb:kfree_skb","probe_type":"raw_tracepoint","stack_trace":["a+0x1"]},"skb-tracking":{"orig_head":1,"timestamp":2,"skb":3},"skb-drop":{"drop_reason":"NO_SOCKET"},"packet":{"len":46,"capture_len":46,"data":"AgAAAAACAgAAAAABCABFAAAgAABAAEARJssKAAABCgAAApxAIygADAAAeHh4eA=="},"netns":{"cookie":1,"inum":4026531840},"dev":{"name":"v","ifindex":7}}\n{"common":{"timestamp":4},"kernel":{"symbol":"q","probe_type":"kretprobe"},"ovs":{"event_type":"upcall_enqueue","ret":-105,"cmd":1,"port":4}}\n',
  '{"skb":"0xffff9f7c12345600","cpu":2,"process":"~local/bin/curl:412","func":"sk_skb_reason_drop(SKB_DROP_REASON_NETFILTER_DROP)","caller_func":"nft_do_chain","time":84133,"netns":4026532738,"netns_name":"blue","mark":5,"iface":"eth0:2","proto":2048,"mtu":1500,"len":60,"tuple":{"saddr":"[fd00::1]","daddr":"[fd00::2]","sport":44022,"dport":80,"proto":6,"flags":"SYN"},"stack":"\\nsk_skb_reason_drop\\nnft_do_chain"}\n',
  '[{"skb":"0x1","func":"kfree_skb","time":"2026-02-20T16:41:30.250"}]\n{\n  "common": {},\n  "skb-drop": {\n    "drop_reason": "X"\n  }\n}\n',
];
const RECORDING = bin('recordings/rule-drop.whydrop');
const TOOL_TEXT = [
  '53529978697438 (1) [sender] 412/411 [k] __nft_trace_packet #30b1a1b2c3d4ffff888100200300 (skb ffff888100200300)\n  02:00:00:00:00:02 > 02:00:00:00:00:01 ethertype IPv4 (0x0800) 10.0.0.1.40000 > 10.0.0.2.9000 tos 0x0 ttl 64 id 5 off 0 [DF] len 46 proto UDP (17) len 18\n  ns 0x1/4026532738 if 7 (veth0) rxif 7\n  table fw (3) chain in (1) handle 4 drop\n  ct_state NEW status 0x100 udp orig [10.0.0.1.40000 > 10.0.0.2.9000] reply [10.0.0.2.9000 > 10.0.0.1.40000] zone 0 mark 0x7\n53529978701985 (1) [sender] 412/411 [tp] skb:kfree_skb #30b1a1b2c3d4ffff888100200300 (skb ffff888100200300) drop (reason NETFILTER_DROP)\n    sk_skb_reason_drop+0x90\n    nft_do_chain+0x3e8\n  10.0.0.1.40000 > 10.0.0.2.9000 tos 0x0 proto UDP (17) len 18\n',
  '0xff452c7c65ea9e00 4   <empty>:0        4026531840 0            ens1f0:2     0x0800 9000  74    10.0.0.2:35676->10.0.0.1:443(tcp) kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP) nft_do_chain[nf_tables]\nnft_do_chain[nf_tables]\n0xffff90f72f43fae8      2             [nc] kfree_skb netns=4026533589 mark=0x2a ifindex=8 proto=8 mtu=1500 len=60 10.0.0.1:34998->10.0.0.2:80(tcp)\n2026-02-20T16:41:30.250 0xffff9f7c12345600 2   curl:412         123456799012     4026532738 0            eth0:2      0x0800 1500  60    blue 10.0.0.1:44022->10.0.0.2:80(tcp:SYN) sk_skb_reason_drop(SKB_DROP_REASON_NO_SOCKET)\n',
  'kern  :warn  : [Mon Nov 23 07:17:24 2026] nf_conntrack: nf_conntrack: table full, dropping packet\nIp:\n    Forwarding: 1\n    123 total packets received\n4026531840 net      62   1 root unassigned /run/netns/blue /bin/sh\n[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},{"dst":"fe80::/64","dev":"eth0","protocol":"kernel","metric":256,"flags":[],"pref":"medium"}]\n',
];
const RULES_JSON = text('rules/nft-rich.json').slice(0, 6000);
const kinds: readonly SockDiagKind[] = ['tcp', 'udp', 'raw', 'unix', 'packet'];

const bytes = (name: string, seeds: readonly Uint8Array[], decode: (input: Uint8Array) => unknown): Target => ({ name, kind: 'bytes', seeds, decode });
const words = (name: string, seeds: readonly string[], decode: (input: string) => unknown): Target => ({ name, kind: 'text', seeds: seeds.filter((s) => s !== ''), decode });

/** Every decoder that reads what the kernel, a tool or a file says. */
export const TARGETS: readonly Target[] = [
  bytes('ring-page', PAGES, (b) => {
    const seen: number[] = [];
    const page = readRingPage(b, (at, length, delta) => {
      if (at < 0 || length < 0 || at + length > b.length) throw new Error(`event at ${at}+${length} of ${b.length}`);
      seen.push(at, length, delta);
    });
    return [page, seen];
  }),
  bytes('trace-page', PAGES.slice(0, 2), (b) => {
    const d = tracePages({ formats: FORMATS, symbols: () => SYMBOLS, dropReasons: [] });
    return [d.page({ record: 'trace-page', time: mono(0n), cpu: 0, bytes: b, tasks: TASKS }), d.flush(), [...d.damaged]];
  }),
  words('trace-tasks', [TASKS], (t) => {
    const d = tracePages({ formats: FORMATS, symbols: () => SYMBOLS, dropReasons: [] });
    return [d.page({ record: 'trace-page', time: mono(0n), cpu: 0, bytes: PAGES[0] ?? new Uint8Array(0), tasks: t }), d.flush()];
  }),
  bytes('drop-sample', BPF.drops.map(from64), (b) => decodeDrop(b, NAMES)),
  bytes('call-record', [from64(BPF.call)], (b) => decodeCall(b, NAMES)),
  bytes('exec-record', [from64(BPF.exec)], decodeExec),
  bytes('drop-counts', [from64(BPF.counts)], (b) => [decodeCounts(b, 1n, NAMES), decodeCallCounts(b, mono(1n), NAMES)]),
  words('event-format', ['kfree_skb-6.1', 'kernel_stack-6.18', 'sched_process_exec-6.12', 'sys_exit_sendto-6.18'].map((f) => text(`tracefs/${f}.format`)), parseEventFormat),
  words('header-page', [FORMATS.header_page, FORMATS.header_event], (t) => parseHeaderPage(t, t)),
  bytes('btf', [bin('bpf/types.btf')], (b) => [undefined, TYPES].map((base) => {
    const btf = parseBtf(b, base);
    return [btf.status, btf.end, ['dev', 'fclone', '__sk_common.skc_net.net', 'rbnode.c'].map((path) => ['sk_buff', 'sock'].map((s) => btf.field(s, path))), btf.size('sk_buff'), btf.enumValues('skb_drop_reason'), btf.tracepoint('kfree_skb')];
  })),
  words('kallsyms', [text('tracefs/kallsyms-6.1.txt'), text('tracefs/kallsyms-6.18-drops.txt'), 'c0008100 0x40 t sized\t[m]\n'], (t) => {
    const k = parseKallsyms(t);
    return [k.status, k.skipped, [...k.addresses], Array.from({ length: k.count }, (_, i) => k.name(i)), functionRanges(k, new Set(['nft_do_chain', 'sized'])), symbolsOf(t)];
  }),
  bytes('netlink', [bin('conntrack/events-6.18.bin'), bin('socket/tcp.bin')], (b) => {
    const seen: unknown[] = [];
    const status = walkMessages(b, (m) => {
      if (m.from < 0 || m.to > b.length || m.from > m.to) throw new Error(`message ${m.from}..${m.to} of ${b.length}`);
      seen.push(m.type, decodeNetlinkError(b, m), decodeBurst(b, m), walkAttributes(b, Math.min(m.to, m.from + NLMSG_HEADER + 4), m.to, (type, at, end) => seen.push(type, at, end)));
    });
    return [status, seen];
  }),
  bytes('conntrack-events', [bin('conntrack/events-6.18.bin').slice(0, 800), bin('conntrack/table-6.18.bin')], (b) => [decodeConntrackEvents(b, NETNS, mono(1n)), decodeConntrackTable(b)]),
  bytes('conntrack-stats', [bin('conntrack/stats-6.18.bin')], decodeConntrackStats),
  bytes('neighbour-dump', [NEIGHBOURS], decodeWaitingNeighbours),
  bytes('sock-diag', ['tcp', 'tcp6', 'udp', 'unix', 'packet', 'tcp-listen'].map((f) => bin(`socket/${f}.bin`)), (b) => kinds.map((k) => decodeSockDiag(b, k))),
  bytes('packet', FRAMES, (b) => {
    const packet = decodePacket(b, { mac: 0, protocol: 0, length: b.length - 14 });
    return [packet, flowOf(packet), decodePacket(b, { protocol: 0x0800, network: 14 }), decodePacket(b, { protocol: 0x86dd, network: (b[3] ?? 0) - 8, transport: b[5] ?? 0 })];
  }),
  bytes('recording', [RECORDING], (b) => readRecording(b)),
  bytes('records', readRecording(RECORDING).records.slice(0, 60).map((r) => Uint8Array.from(encodeRecord(r))).filter((r) => r.length < 6000), decodeRecords),
  bytes('trace-dat', [bin('foreign/v7-zstd.dat').slice(0, 20_000), Uint8Array.from(gunzipSync(bin('foreign/v6.dat.gz'))).slice(0, 40_000), Uint8Array.from(gunzipSync(bin('foreign/v7.dat.gz'))).slice(0, 40_000)], recogniseForeign),
  bytes('trace-dat-evidence', [bin('foreign/v7-zstd-instances.dat'), Uint8Array.from(gunzipSync(bin('foreign/v6-instances.dat.gz')))], (b) => (isTraceDat(b) ? traceDatEvidence('fuzz.dat', b) : undefined)),
  words('nft-json', [text('rules/nft-rich.json').slice(0, 12_000), text('rules/nft-iptables-rich.json').slice(0, 8000), ...nftPieces()], decodeNftJson),
  words('iptables-save', [SAVE, ...SAVE.split('\n').filter((l) => l.startsWith('-A')).map((l) => `*filter\n:OUTPUT ACCEPT [0:0]\n${l}\nCOMMIT\n`).slice(0, 40)], (t) => [decodeIptablesSave(t, 4, 'iptables'), decodeIptablesSave(t, 6, 'ip6tables')]),
  words('ebtables-save', [EBTABLES], (t) => decodeEbtablesSave(t)),
  words('arptables-save', [ARPTABLES], (t) => decodeArptablesSave(t)),
  words('ipset-save', [text('rules/ipset.txt')], decodeIpsetSave),
  words('ip-json', answers(/^(?:link|address|route6?|rule6?|neighbour|route-get)/), (t) => [decodeLinks(t), decodeAddresses(t), decodeRoutes(t, 4), decodeRoutes(t, 6), decodeRules(t, 4), decodeNeighbours(t), decodeRouteGet(t)]),
  words('tc-json', answers(/^(?:qdisc|class|filter)/), (t) => [decodeQdiscs(t), decodeClasses(t), decodeFilters(t)]),
  words('bridge-json', answers(/^bridge/), (t) => [decodeBridgePorts(t), decodeFdb(t), decodeBridgeVlans(t)]),
  words('xfrm', [...answers(/^xfrm/), XFRM_POLICY, XFRM_STATE], (t) => [decodeXfrmPolicies(t), decodeXfrmStates(t)]),
  words('sysctl', answers(/^sysctl/), (t) => decodeSysctl(t, 'net/ipv4/conf/*/rp_filter')),
  words('counters', COUNTERS, (t) => [decodeSnmp(t), decodeSnmp6(t), decodeNetDev(t), decodeSoftnetStat(t), decodeConntrackStat(t)]),
  words('proc-sockets', ['  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 25821 2 0000000000000000 0\n'], decodeProcSockets),
  words('log-line', [...LOG_LINES, ...EVIDENCE.flatMap((t) => t.split('\n')).filter((l, i) => l !== '' && i % 9 === 0).slice(0, 40)], recogniseLogLine),
  words('evidence', [...EVIDENCE, ...TOOLS, ...TOOL_JSON, ...TOOL_TEXT], (t) => recogniseEvidence('fuzz.txt', t)),
  words('ip-text', [text('analyze/sosreport-6.1/sos_commands/networking/ip_route_show_table_all'), text('analyze/sosreport-6.1/sos_commands/networking/ip_-d_address'), '0:\tfrom all lookup local\n200:\tnot from all fwmark 0xca6c/0xffff lookup 51820\ndefault proto static\n\tnexthop via 198.51.100.1 dev eth1 weight 1\n203.0.113.0/24 via inet6 fe80::1 dev eth0 mtu 1400\n'], (t) => readIpText(t.split('\n')).records.map((r) => (r.kind !== 'listing' ? r : [decodeRoutes(r.text, 4), decodeRules(r.text, 4), decodeAddresses(r.text), decodeLinks(r.text)]))),
  words('analyse', [...TOOL_JSON, ...TOOL_TEXT, ...TOOLS.filter((_, i) => i % 4 === 0)].map((t) => t.slice(0, 2500)), (t) => analyse([recogniseEvidence('fuzz.txt', t), recogniseEvidence('rules.json', RULES_JSON)])),
];

/** Single objects of nft's list, each a listing of its own: mutations stay JSON more often. */
function nftPieces(): readonly string[] {
  const { nftables } = JSON.parse(text('rules/nft-rich.json')) as { nftables: readonly Record<string, unknown>[] };
  const table = nftables.find((o) => 'table' in o), chain = nftables.find((o) => 'chain' in o);
  return nftables.filter((o) => 'rule' in o || 'set' in o || 'map' in o).slice(0, 40).map((o) => JSON.stringify({ nftables: [table, chain, o] }));
}
