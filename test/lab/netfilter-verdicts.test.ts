/**
 * Rules that really drop real traffic: the verdict must name the rule, its first remedy must let the traffic through
 * as it is typed from the root namespace, and its undo must bring the rules back.
 * Namespaces wdnv-a (10.78.1.2) - wdnv-r (.1.1, .2.1, the one with rules) - wdnv-b (10.78.2.2); IPv6 alike.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { address, mono } from '../../src/base/brand.ts';
import { cause as policyDrop } from '../../src/causes/netfilter/policy-drop.ts';
import { cause as queueNoListener } from '../../src/causes/netfilter/queue-no-listener.ts';
import { cause as ruleDrop } from '../../src/causes/netfilter/rule-drop.ts';
import { cause as ruleReject } from '../../src/causes/netfilter/rule-reject.ts';
import type { DropEvent, Place } from '../../src/model/event.ts';
import type { Packet, Transport } from '../../src/model/packet.ts';
import type { Topic } from '../../src/model/question.ts';
import type { Symptom } from '../../src/model/symptom.ts';
import { BLUE, fakeEvidence, type Answered } from '../fake-evidence.ts';

const R = 'wdnv-r';
const NAMES = ['wdnv-a', R, 'wdnv-b'];
const programs = ['nft', 'iptables', 'iptables-legacy', 'ipset', 'ip', 'python3'];
const skip = process.getuid?.() === 0 && programs.every((p) => runs(`command -v ${p}`)) ? false : `needs root and ${programs.join(', ')}`;

function runs(line: string): boolean {
  try {
    execFileSync('sh', ['-c', line], { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000, maxBuffer: 1 << 26 });
const r = (line: string): string => sh(`ip netns exec ${R} ${line}`);

const SERVER = `
import socket, threading, sys
for family, host in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
    for port in (9000, 9001):
        u = socket.socket(family, socket.SOCK_DGRAM); t = socket.socket(family, socket.SOCK_STREAM)
        for s in (u, t):
            if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((host, port))
        t.listen(64)
        def udp(s):
            while True:
                d, p = s.recvfrom(4096)
                try: s.sendto(d, p)
                except OSError: pass
        def tcp(s):
            while True:
                c, _ = s.accept()
                try: c.send(c.recv(100)); c.close()
                except OSError: pass
        threading.Thread(target=udp, args=(u,), daemon=True).start(); threading.Thread(target=tcp, args=(t,), daemon=True).start()
print('up', flush=True)
sys.stdin.read()
`;
const CLIENT = `
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
n = int(sys.argv[4]) if len(sys.argv) > 4 else 1
for i in range(n):
    try:
        s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
        s.settimeout(0.4); s.connect((host, port)); s.send(b'x' * 64); s.recv(100)
    except OSError as e: print(e); sys.exit(1)
`;

const servers: ChildProcess[] = [];

before(async () => {
  if (skip !== false) return;
  for (const n of NAMES) runs(`ip netns del ${n}`);
  sh(`set -e
    for n in ${NAMES.join(' ')}; do ip netns add $n; ip -n $n link set lo up; done
    ip -n wdnv-a link add eth0 type veth peer name eth0 netns ${R}; ip -n wdnv-b link add eth0 type veth peer name eth1 netns ${R}
    ip -n wdnv-a addr add 10.78.1.2/24 dev eth0; ip -n ${R} addr add 10.78.1.1/24 dev eth0; ip -n ${R} addr add 10.78.2.1/24 dev eth1; ip -n wdnv-b addr add 10.78.2.2/24 dev eth0
    ip -n wdnv-a addr add fd78:1::2/64 dev eth0 nodad; ip -n ${R} addr add fd78:1::1/64 dev eth0 nodad; ip -n ${R} addr add fd78:2::1/64 dev eth1 nodad; ip -n wdnv-b addr add fd78:2::2/64 dev eth0 nodad
    ip -n wdnv-a link set eth0 up; ip -n ${R} link set eth0 up; ip -n ${R} link set eth1 up; ip -n wdnv-b link set eth0 up
    ip netns exec ${R} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n wdnv-a route add default via 10.78.1.1; ip -n wdnv-b route add default via 10.78.2.1
    ip -n wdnv-a -6 route add default via fd78:1::1; ip -n wdnv-b -6 route add default via fd78:2::1`);
  for (const n of [R, 'wdnv-b']) {
    const server = spawn('ip', ['netns', 'exec', n, 'python3', '-u', '-c', SERVER], { stdio: ['pipe', 'pipe', 'inherit'] });
    servers.push(server);
    await once(server.stdout!, 'data');
  }
});

after(async () => {
  if (skip !== false) return;
  for (const server of servers) {
    server.stdin?.end();
    if (server.exitCode === null) await once(server, 'exit');
  }
  for (const n of NAMES) runs(`ip netns del ${n}`);
});

type Hook = 'input' | 'output' | 'forward' | 'prerouting' | 'postrouting' | 'ingress';
interface Flow {
  readonly kind: 'udp' | 'tcp';
  readonly from: string;
  readonly to: string;
  readonly port: number;
}

const STACKS: Readonly<Record<Hook, readonly [four: readonly string[], six: readonly string[]]>> = {
  input: [['ip_local_deliver', 'ip_sublist_rcv_finish'], ['ip6_input', 'ip6_rcv_finish']],
  output: [['__ip_local_out', 'ip_send_skb', 'udp_send_skb'], ['ip6_local_out', 'ip6_send_skb']],
  forward: [['ip_forward', 'ip_rcv'], ['ip6_forward', 'ipv6_rcv']],
  prerouting: [['ip_rcv', '__netif_receive_skb_one_core'], ['ipv6_rcv', '__netif_receive_skb_one_core']],
  postrouting: [['ip_output', 'ip_send_skb'], ['ip6_output', 'ip6_send_skb']],
  ingress: [['__netif_receive_skb_core.constprop.0', 'process_backlog'], ['__netif_receive_skb_core.constprop.0', 'process_backlog']],
};

/** The drop as the probe tells of it: the packet's head, and the functions on the stack of this kernel. */
function dropOf(flow: Flow, hook: Hook, by: 'nft_do_chain' | 'nf_hook_slow' | 'nf_queue', tables: string, tracked: boolean): DropEvent {
  const six = flow.to.includes(':');
  const transport: Transport = flow.kind === 'udp'
    ? { kind: 'udp', sourcePort: 40000, destinationPort: flow.port, length: 72, checksum: 0 }
    : { kind: 'tcp', sourcePort: 40000, destinationPort: flow.port, flags: 2, sequence: 1, acknowledgement: 0, window: 64240, options: [2, 4] };
  const packet: Packet = { ip: { version: six ? 6 : 4, source: flow.from, destination: flow.to, protocol: flow.kind === 'udp' ? 17 : 6, ttl: 63, totalLength: 92, headerLength: six ? 40 : 20, tos: 0 }, transport, defects: [] };
  const names = [by, ...(by === 'nft_do_chain' ? [`nft_do_chain_${tables}`] : []), 'nf_hook_slow', ...STACKS[hook][six ? 1 : 0]];
  const stack = names.map((name): Place => ({ address: address(0xffffffff81000000n), name, offset: 0x40 }));
  const local = hook === 'output';
  return {
    kind: 'drop', time: mono(9_000_000_000n), cpu: 0, netns: BLUE, ifindex: local ? 0 : 2, ...(local ? {} : { interface: hook === 'postrouting' ? 'eth1' : 'eth0' }), skb: address(1n),
    place: stack[0] as Place, reason: by === 'nf_queue' ? { number: 2, name: 'NOT_SPECIFIED' } : { number: 12, name: 'NETFILTER_DROP' }, protocol: six ? 0x86dd : 0x0800, length: 92, mark: 0, packet, stack, softirq: !local,
    task: { pid: 1, tid: 1, comm: 'sender', uid: 0 }, probe: 'bpf', ...(tracked ? { conntrack: { address: address(2n), status: 0, info: 2 } } : {}),
  };
}

const LISTINGS: readonly (readonly [Topic, string])[] = [['nft', 'nft -j -p list ruleset'], ['iptables', 'iptables-nft-save -c'], ['ip6tables', 'ip6tables-nft-save -c'], ['iptables-legacy', 'iptables-legacy-save -c'], ['ipset', 'ipset save'], ['link', 'ip -j link']];
const answers = (): Answered[] => [
  ...LISTINGS.map(([topic, line]): Answered => [{ topic, netns: BLUE }, r(line)]),
  [{ topic: 'proc', netns: BLUE, argument: 'net/netfilter/nfnetlink_queue' }, r('cat /proc/net/netfilter/nfnetlink_queue 2>/dev/null || true')],
];
/** The rules without what changes by itself: counters, handles, dates. */
const rulesNow = (): string => (r('iptables-nft-save') + r('ip6tables-nft-save') + r('iptables-legacy-save') + r('nft -s list ruleset') + r('ipset save -sorted')).replace(/^#.*$/gm, '').replace(/ (expires|timeout) \S+/g, '').replace(/initval \S+/g, '').replace(/\[\d+:\d+\]/g, '').split('\n').filter((l) => l !== '').join('\n');

interface Case {
  readonly name: string;
  readonly rules: string;
  readonly flow: Flow;
  readonly hook: Hook;
  readonly by?: 'nf_hook_slow' | 'nf_queue';
  readonly tables?: string; //   the nf_tables family on the stack
  readonly tracked?: boolean;
  readonly cause: string;
  readonly culprit: readonly string[];
  readonly command: RegExp;
  /** How often the traffic is tried: for limits. */
  readonly times?: number;
}

const IN: Flow = { kind: 'tcp', from: '10.78.1.2', to: '10.78.1.1', port: 9000 };
const IN_UDP: Flow = { ...IN, kind: 'udp' };
const THROUGH: Flow = { kind: 'udp', from: '10.78.1.2', to: '10.78.2.2', port: 9000 };
const IN6: Flow = { kind: 'udp', from: 'fd78:1::2', to: 'fd78:1::1', port: 9000 };
const OUT: Flow = { kind: 'udp', from: '10.78.2.1', to: '10.78.2.2', port: 9000 };

const CASES: readonly Case[] = [
  { name: 'iptables multiport in INPUT', rules: 'iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -s 10.78.1.0/24 -p tcp -m multiport --dports 8999:9000,9443 -m comment --comment "it\'s $HOME; a rule" -j DROP; iptables -A INPUT -p udp -j DROP', flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['INPUT', '8999:9000'], command: /^ip netns exec wdnv-r iptables -D INPUT -s 10\.78\.1\.0\/24 -p tcp/ },
  { name: 'policy of INPUT', rules: 'iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -A INPUT -p tcp --dport 22 -j ACCEPT', flow: IN, hook: 'input', tracked: true, cause: 'netfilter.policy-drop', culprit: ['INPUT', 'policy'], command: /iptables -A INPUT -p tcp --dport 9000 -j ACCEPT$/ },
  { name: 'policy of INPUT and of OUTPUT', rules: 'iptables -P INPUT DROP; iptables -P OUTPUT DROP', flow: IN, hook: 'input', cause: 'netfilter.policy-drop', culprit: ['INPUT', 'policy'], command: /-A INPUT -p tcp --dport 9000 -j ACCEPT && .*-A OUTPUT -p tcp --sport 9000 -j ACCEPT$/ },
  { name: 'policy of FORWARD, both ways', rules: 'iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER', flow: THROUGH, hook: 'forward', cause: 'netfilter.policy-drop', culprit: ['FORWARD', 'policy'], command: /-A FORWARD -d 10\.78\.2\.2 -p udp --dport 9000 -j ACCEPT && .*-A FORWARD -s 10\.78\.2\.2 -p udp --sport 9000 -j ACCEPT$/ },
  { name: 'a chain two deep', rules: 'iptables -N D; iptables -N tenant; iptables -A FORWARD -j D; iptables -A D -p tcp -j RETURN; iptables -A D -i eth0 -o eth1 -j tenant; iptables -A tenant -d 10.78.2.9 -j DROP; iptables -A tenant -d 10.78.2.2 -p udp --dport 9000 -j DROP', flow: THROUGH, hook: 'forward', cause: 'netfilter.rule-drop', culprit: ['tenant', '10.78.2.2'], command: /-D tenant -d 10\.78\.2\.2\/32 -p udp -m udp --dport 9000 -j DROP$/ },
  { name: 'a rule and a policy behind it', rules: 'iptables -P INPUT DROP; iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -p tcp --dport 9000 -j DROP', flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['INPUT', '9000'], command: /-I INPUT 2 -p tcp --dport 9000 -j ACCEPT$/ },
  { name: 'the same rule twice', rules: 'iptables -A INPUT -p tcp --dport 9000 -j DROP; iptables -A INPUT -p tcp --dport 9000 -j DROP', flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['INPUT'], command: /-I INPUT 1 / },
  { name: 'ipset', rules: 'ipset create wdnv hash:ip; ipset add wdnv 10.78.1.2; ipset add wdnv 203.0.113.9; iptables -A INPUT -p tcp -m multiport --dports 9000 -m set --match-set wdnv src -j DROP', flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['wdnv', '10.78.1.2'], command: /ipset del wdnv 10\.78\.1\.2$/ },
  { name: 'hashlimit', rules: 'iptables -A INPUT -p udp --dport 9000 -m hashlimit --hashlimit-name wdnv --hashlimit-mode srcip --hashlimit-above 5/sec --hashlimit-burst 5 -j DROP', flow: IN_UDP, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['hashlimit'], command: /-I INPUT 1 -p udp --dport 9000 -j ACCEPT$/, times: 15 },
  { name: 'reject', rules: 'iptables -A INPUT -p tcp --dport 9000 -j REJECT --reject-with tcp-reset', flow: IN, hook: 'input', cause: 'netfilter.rule-reject', culprit: ['REJECT'], command: /-D INPUT -p tcp -m tcp --dport 9000 -j REJECT --reject-with tcp-reset$/ },
  { name: 'mangle POSTROUTING', rules: 'iptables -t mangle -A POSTROUTING -p udp -m length --length 60:65535 -j DROP', flow: OUT, hook: 'postrouting', cause: 'netfilter.rule-drop', culprit: ['mangle', 'POSTROUTING'], command: /iptables -t mangle -D POSTROUTING -p udp -m length --length 60:65535 -j DROP$/ },
  { name: 'owner in OUTPUT', rules: 'iptables -A OUTPUT -o eth1 -m owner --uid-owner 0 -j DROP', flow: OUT, hook: 'output', cause: 'netfilter.rule-drop', culprit: ['owner'], command: /-D OUTPUT -o eth1 -m owner --uid-owner 0 -j DROP$/ },
  { name: 'raw PREROUTING', rules: 'iptables -t raw -A PREROUTING -p udp --dport 9000 -j DROP', flow: THROUGH, hook: 'prerouting', cause: 'netfilter.rule-drop', culprit: ['raw', 'PREROUTING'], command: /-t raw -D PREROUTING/ },
  { name: 'iptables-legacy', rules: 'iptables-legacy -A INPUT -p icmp -j ACCEPT; iptables-legacy -A INPUT -p udp --dport 9000 -j DROP', flow: IN_UDP, hook: 'input', by: 'nf_hook_slow', cause: 'netfilter.rule-drop', culprit: ['legacy', '9000'], command: /iptables-legacy -D INPUT -p udp -m udp --dport 9000 -j DROP$/ },
  { name: 'policy of iptables-legacy', rules: 'iptables-legacy -P FORWARD DROP', flow: THROUGH, hook: 'forward', by: 'nf_hook_slow', cause: 'netfilter.policy-drop', culprit: ['legacy', 'FORWARD'], command: /iptables-legacy -A FORWARD .* && .*iptables-legacy -A FORWARD/ },
  { name: 'NFQUEUE', rules: 'iptables -A INPUT -p tcp --dport 9000 -j NFQUEUE --queue-num 5', flow: IN, hook: 'input', by: 'nf_queue', cause: 'netfilter.queue-no-listener', culprit: ['queue 5'], command: /-D INPUT -p tcp -m tcp --dport 9000 -j NFQUEUE --queue-num 5$/ },
  { name: 'ip6tables', rules: 'ip6tables -A INPUT -p ipv6-icmp -j ACCEPT; ip6tables -A INPUT -p udp --dport 9000 -j DROP', flow: IN6, hook: 'input', tables: 'ipv6', cause: 'netfilter.rule-drop', culprit: ['ip6tables', '9000'], command: /ip6tables -D INPUT/ },
  { name: 'nft set', rules: "nft 'add table ip edge; add set ip edge bl { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 10.78.1.0-10.78.1.9 }; }; add chain ip edge in { type filter hook input priority 0; }; add rule ip edge in ip saddr @bl counter drop'", flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['bl', '10.78.1.0-10.78.1.9'], command: /nft delete element ip edge bl '\{ 10\.78\.1\.0-10\.78\.1\.9 \}'$/ },
  { name: 'nft verdict map', rules: "nft 'add table inet w; add map inet w m { type inet_service : verdict; elements = { 22 : accept, 9000 : drop }; }; add chain inet w in { type filter hook input priority 0; }; add rule inet w in tcp dport vmap @m'", flow: IN, hook: 'input', tables: 'inet', cause: 'netfilter.rule-drop', culprit: ['inet', '9000'], command: /nft delete element inet w m '\{ 9000 : drop \}'$/ },
  { name: 'nft allow list', rules: "nft 'add table ip w; add set ip w ok { type ipv4_addr; elements = { 10.78.1.9 }; }; add chain ip w in { type filter hook input priority 0; }; add rule ip w in tcp dport 9000 ip saddr != @ok drop'", flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['@ok'], command: /nft add element ip w ok '\{ 10\.78\.1\.2 \}'$/ },
  { name: 'ipset allow list', rules: 'ipset create wdnv hash:ip,port; ipset add wdnv 10.78.1.9,tcp:9000; iptables -A INPUT -p tcp --dport 9000 -m set ! --match-set wdnv src,dst -j DROP', flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['wdnv'], command: /ipset add wdnv 10\.78\.1\.2,tcp:9000$/ },
  { name: 'nft policy in FORWARD', rules: "nft 'add table inet w; add chain inet w f { type filter hook forward priority 0; policy drop; }; add rule inet w f ct state established,related accept'", flow: THROUGH, hook: 'forward', tables: 'inet', tracked: true, cause: 'netfilter.policy-drop', culprit: ['inet w', 'chain f', 'policy'], command: /nft 'add rule inet w f ip daddr 10\.78\.2\.2 udp dport 9000 counter accept comment "whydrop"'$/ },
  { name: 'nft catch-all at the end', rules: "nft 'add table inet w; add chain inet w f { type filter hook forward priority 0; }; add rule inet w f ct state established,related accept; add rule inet w f tcp dport 22 accept; add rule inet w f counter reject with icmpx type admin-prohibited'", flow: THROUGH, hook: 'forward', tables: 'inet', tracked: true, cause: 'netfilter.rule-reject', culprit: ['admin-prohibited'], command: /nft 'insert rule inet w f handle \d+ ip daddr 10\.78\.2\.2 udp dport 9000/ },
  { name: 'nft netdev ingress', rules: "nft 'add table netdev scrub; add chain netdev scrub early { type filter hook ingress device eth0 priority -500; }; add rule netdev scrub early ip protocol udp udp dport 9000 counter drop'", flow: THROUGH, hook: 'ingress', tables: 'netdev', cause: 'netfilter.rule-drop', culprit: ['netdev scrub early', '9000'], command: /nft delete rule netdev scrub early handle \d+$/ },
  { name: 'nft rule in the middle', rules: "nft 'add table ip w; add chain ip w in { type filter hook input priority 0; }; add rule ip w in iifname \"lo\" accept; add rule ip w in ip saddr 10.78.1.0/24 tcp dport { 80, 9000-9100 } ct state new log prefix \"no: \" counter drop comment \"a b\"; add rule ip w in tcp dport 22 accept'", flow: IN, hook: 'input', tracked: true, cause: 'netfilter.rule-drop', culprit: ['9000-9100'], command: /nft delete rule ip w in handle \d+$/ },
  { name: 'two tables at one hook', rules: "iptables -A INPUT -p tcp --dport 9000 -j DROP; nft 'add table inet w; add chain inet w in { type filter hook input priority 10; policy drop; }'", flow: IN, hook: 'input', cause: 'netfilter.rule-drop', culprit: ['INPUT', '9000'], command: /iptables -I INPUT 1 .* && .*nft 'add rule inet w in/ },
];

const causes = [ruleDrop, ruleReject, policyDrop, queueNoListener];

for (const c of CASES) {
  test(`${c.name}: named, remedied, undone`, { skip }, () => {
    for (const line of ['nft flush ruleset', 'iptables-legacy -F', 'iptables-legacy -X', 'iptables-legacy -P FORWARD ACCEPT', 'ipset destroy', 'conntrack -F']) runs(`ip netns exec ${R} ${line}`);
    const client = c.flow === OUT ? R : 'wdnv-a';
    const passes = (): boolean => runs(`ip netns exec ${client} python3 -c "${CLIENT.replaceAll('"', '\\"')}" ${c.flow.kind} ${c.flow.to} ${c.flow.port} ${c.times ?? 1}`);
    assert.ok(passes(), 'the traffic passes without rules');
    execFileSync('ip', ['netns', 'exec', R, 'sh', '-c', `set -e; ${c.rules}`]);
    const before = answers();
    const standing = rulesNow();
    assert.ok(!passes(), 'the rules stop it');
    const drop = dropOf(c.flow, c.hook, c.by ?? 'nft_do_chain', c.tables ?? (c.flow.to.includes(':') ? 'ipv6' : 'ipv4'), c.tracked ?? false);
    const out = { answers: [...answers(), ...(['10.78.2.2 from 10.78.2.1', '10.78.2.2 from 10.78.1.2 iif eth0'].map((argument): Answered => [{ topic: 'route-get', netns: BLUE, argument }, '[{"dst":"10.78.2.2","dev":"eth1"}]']))], before, host: { netnsNames: new Map([[BLUE, R]]) } };
    const symptom: Symptom = { kind: 'drop', netns: BLUE, first: drop.time, drop };
    const evidence = fakeEvidence(out);
    const findings = causes.map((cause) => [cause, cause.judge(symptom, evidence)] as const);
    const found = findings.flatMap(([cause, f]) => (f.outcome === 'found' ? [{ cause, f }] : []));
    const said = JSON.stringify(findings.map(([cause, f]) => [cause.id, f]), undefined, 1);
    assert.deepEqual(found.map((x) => x.cause.id), [c.cause], said);
    const verdict = found[0]?.f;
    assert.ok(verdict !== undefined && verdict.confidence >= 0.9, said);
    for (const word of c.culprit) assert.ok(verdict.culprit.text.includes(word), `${word} in ${verdict.culprit.text}`);
    const remedy = verdict.remedies[0];
    assert.ok(remedy?.command !== undefined && remedy.undo !== undefined, said);
    assert.match(remedy.command, c.command);
    sh(remedy.command);
    assert.ok(passes(), `the traffic passes after ${remedy.command}`);
    runs(`ip netns exec ${R} conntrack -F`);
    sh(remedy.undo);
    assert.equal(rulesNow(), standing, `the rules are back after ${remedy.undo}`);
    assert.ok(!passes(), 'and stop it again');
    const needed = new Set(found[0]?.cause.needs);
    for (const q of evidence.asked) assert.ok(needed.has(q.topic), `${q.topic} is not in needs`);
  });
}
