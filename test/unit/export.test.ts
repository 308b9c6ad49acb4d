import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { judged } from '../../src/app/judged.ts';
import { merge } from '../../src/app/merge.ts';
import { chromeTraceOf, csvCell, csvOf, foldedOf, jsonOf, pcapngOf, type Exported, type ExportedEvent } from '../../src/exports/index.ts';
import type { DropEvent } from '../../src/model/event.ts';
import { readRecording } from '../../src/recording/file.ts';
import { holdsToTraceEventFormat } from '../trace-event-format.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const open = (name: string): Exported => judged(readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records, ALL, true).exported;
const text = (pieces: Iterable<string>): string => [...pieces].join('');
/** A packet whose names were made up by somebody who means harm. */
const hostile = (exported: Exported): Exported => ({
  ...exported,
  host: { ...exported.host, hostname: '=HYPERLINK("http://x")\u001b[2J' },
  events: exported.events.slice(0, 1).map((e) => ({ ...e, event: { ...e.event, task: { ...e.event.task, comm: '=cmd|\'/c x\';\n"\u202e' }, ...(e.event.kind === 'drop' ? { interface: '</script> ;9', stack: [{ ...e.event.place, name: 'a b;c\n' }] } : {}) } as typeof e.event })),
});

const RECORDINGS: readonly string[] = globSync('{recordings,merge,exports}/*.whydrop', { cwd: `${root}fixtures` }).sort();
const tshark = (t: TestContext, run: (dir: string) => void): void => {
  if (spawnSync('tshark', ['-v']).status !== 0) return t.skip('tshark is not installed');
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-export-'));
  try {
    run(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
};
/** The fields of each packet; anything that tshark says besides is a failure. What was sent to the port of DNS or OpenVPN is none: payloads are data. */
function packets(path: string, ...fields: readonly string[]): readonly (readonly string[])[] {
  const { status, stdout, stderr } = spawnSync('tshark', ['-n', '-r', path, '-d', 'udp.port==1-65535,data', '-d', 'tcp.port==1-65535,data', '-o', 'ip.check_checksum:TRUE', '-T', 'fields', '-E', 'separator=\u0001', '-E', 'aggregator=\u0002', ...fields.flatMap((f) => ['-e', f])], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stderr.replace(/^Running as user .*\n/, ''), '');
  return stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n').map((l) => l.split('\u0001'));
}
const asPcapng = (dir: string, name: string, exported: Exported): string => {
  const path = join(dir, `${name.replaceAll('/', '-')}.pcapng`);
  writeFileSync(path, Buffer.concat([...pcapngOf(exported)]));
  return path;
};
/** Of Wireshark's severities: from here on something is wrong with a packet. */
const WARNING = 0x600000;

for (const file of RECORDINGS)
  test(`pcapng of ${file}: tshark and capinfos have no complaint, and read what is known of each packet`, (t) => tshark(t, (dir) => {
    const exported = judged(readRecording(readFileSync(`${root}fixtures/${file}`)).records, ALL, true).exported;
    const path = asPcapng(dir, file, exported);
    const drops = exported.events.filter((e) => e.event.kind === 'drop');
    const lines = packets(path, 'frame.time_epoch', 'frame.len', 'frame.cap_len', 'frame.interface_name', 'frame.encap_type', 'frame.comment', 'ip.src', 'ipv6.dst', 'udp.dstport', 'tcp.dstport', '_ws.expert.severity', '_ws.malformed');
    assert.ok(lines.length > 0);
    assert.equal(lines.length, drops.length);
    lines.forEach(([time, length, there, name, encapsulation, comment, source4, destination6, udp, tcp, severities, malformed], i) => {
      const { event, captured, incident } = drops[i]!;
      assert.ok(event.kind === 'drop' && captured !== undefined && incident !== undefined);
      const wall = event.time + exported.realtimeOffset, cooked = captured.begins === 'ethernet' ? 0 : 20;
      assert.equal(time, `${wall / 1_000_000_000n}.${String(wall % 1_000_000_000n).padStart(9, '0')}`);
      assert.equal(Number(length), captured.originalLength + cooked);
      assert.equal(Number(there), captured.bytes.length + cooked);
      assert.equal(name, `${exported.netnsNames.get(event.netns) ?? `net:[${event.netns}]`}/${event.interface ?? 'no interface'}`);
      assert.equal(encapsulation, cooked === 0 ? '1' : '210', 'Wireshark\'s numbers of Ethernet and of Linux cooked mode, version 2');
      const { packet } = event;
      if (packet.ip?.version === 4) assert.equal(source4!.split('\u0002')[0], packet.ip.source); // an ICMP error quotes another
      if (packet.ip?.version === 6) assert.equal(destination6, packet.ip.destination);
      if (packet.transport?.kind === 'udp') assert.equal(Number(udp), packet.transport.destinationPort);
      if (packet.transport?.kind === 'tcp') assert.equal(Number(tcp), packet.transport.destinationPort);
      assert.ok(comment!.startsWith(`reason ${event.reason.name} in ${event.place.name}+0x`), comment);
      assert.ok(comment!.includes(`; cause ${incident.cause}: `) && comment!.endsWith(event.softirq ? '; in softirq' : `; process ${event.task.comm} (pid ${event.task.pid})`), comment);
      assert.ok(severities!.split('\u0002').every((s) => Number(s) < WARNING), `${comment}: ${severities}`);
      assert.equal(malformed, '');
    });
    const info = execFileSync('capinfos', ['-M', path], { encoding: 'utf8' });
    assert.match(info, new RegExp(`Number of packets: +${drops.length}\n`));
    assert.match(info, /Strict time order: +True/);
    assert.match(info, new RegExp(`Capture oper-sys: +Linux ${exported.host.kernel.replaceAll('+', '\\+')}\n`));
    assert.match(info, /Capture application: +whydrop /);
    assert.match(info, new RegExp(`Number of interfaces in file: ${new Set(lines.map((l) => `${l[3]} ${l[4]}`)).size}\n`));
  }));

test('pcapng: cut packets are told as cut, names of harm are text, nothing dropped is an empty file', (t) => tshark(t, (dir) => {
  const cut = packets(asPcapng(dir, 'cut', open('rcvbuf-full')), 'frame.len', 'frame.cap_len', 'udp.length');
  assert.ok(cut.some(([length, there, udp]) => Number(there) === 192 && Number(length) === 342 && Number(udp) === 308));
  const [name, comment] = packets(asPcapng(dir, 'harm', hostile(open('rule-drop'))), 'frame.interface_name', 'frame.comment')[0]!;
  assert.equal(name, 'wdxb/</script> ;9');
  assert.match(comment!, /process =cmd\|'\/c x';\\x0a"(\\u202e|\\u\{202e\}) \(pid 6888\)$/);
  assert.deepEqual(packets(asPcapng(dir, 'empty', { ...open('rule-drop'), events: [] }), 'frame.len'), []);
}));

test('pcapng: every kind of device has its own link type: what came through a tunnel of IP has no Ethernet header', (t) => tshark(t, (dir) => {
  const { exported } = judged(readRecording(readFileSync(`${root}fixtures/exports/tunnels.whydrop`)).records, ALL, true);
  const seen = new Map<string, Set<string>>();
  for (const [name, protocols] of packets(asPcapng(dir, 'tunnels', exported), 'frame.interface_name', 'frame.protocols')) {
    const device = name!.slice(name!.indexOf('/') + 1);
    seen.set(device, (seen.get(device) ?? new Set()).add(protocols!.replace(/:ethertype:.*/, '')));
  }
  const kinds = Object.fromEntries([...seen].map(([device, kind]) => [device, [...kind].join(' ')]));
  assert.deepEqual(kinds, { v0: 'eth', lo: 'eth', 'v0.7': 'eth', gretap1: 'eth', vx1: 'eth', gre1: 'sll', ipip1: 'sll', sit1: 'sll', ip6tnl1: 'sll', tun9: 'sll' });
}));

test('pcapng: a packet without an Ethernet header has a cooked one with its protocol, device and direction', (t) => tshark(t, (dir) => {
  const exported = open('no-listener');
  const bare = (e: ExportedEvent): ExportedEvent => (e.event.kind !== 'drop' || e.captured === undefined ? e : { ...e, captured: { bytes: e.captured.bytes.subarray(14), originalLength: e.captured.originalLength - 14, begins: 'network' } });
  const lines = packets(asPcapng(dir, 'bare', { ...exported, events: exported.events.map(bare) }), 'sll.etype', 'sll.ifindex', 'sll.hatype', 'sll.pkttype', 'ip.version', '_ws.malformed');
  const drops = exported.events.flatMap((e) => (e.event.kind === 'drop' ? [e.event] : []));
  assert.deepEqual(lines, drops.map((d) => [`0x${d.protocol.toString(16).padStart(4, '0')}`, String(d.ifindex), '65534', d.incoming === undefined ? '4' : '0', String(d.packet.ip?.version), '']));
  assert.deepEqual(new Set(lines.map((l) => l[0])), new Set(['0x0800', '0x86dd']));
}));

test('csv: one line an event, and nothing that a spreadsheet would run', () => {
  const lines = text(csvOf(open('rule-drop'))).split('\r\n');
  assert.equal(lines.length, open('rule-drop').events.length + 2);
  assert.match(lines[1]!, /^2026-\d\d-\d\dT[\d:]{8}\.\d{9}Z,\d{19},drop,\w+,netfilter\.rule-drop,/);
  for (const start of ['=', '+', '-', '@', '|', ' =', '\uff1d']) assert.match(csvCell(`${start}1+1`), /^"?'/, start);
  assert.equal(csvCell('a"b,c'), '"a""b,c"');
  assert.equal(csvCell('\t=1'), '\\x09=1');
  assert.equal(csvCell(-5), '-5');
  const made = text(csvOf(hostile(open('rule-drop'))));
  assert.equal(made.split('\r\n').length, 3);
  assert.ok(!/[\u0000-\u0008\u000b-\u001f\u202e]/.test(made.replaceAll('\r\n', '')));
  assert.ok(made.includes(`"'=cmd|`));
});

test('json: the incidents of the contract and every event', () => {
  const exported = open('rcvbuf-full');
  const whole = JSON.parse(text(jsonOf(exported))) as { incidents: unknown; events: readonly { kind: string; head?: string; cause?: string; time_ns: string; packet?: { ip?: unknown } }[] };
  assert.deepEqual(whole.incidents, JSON.parse(JSON.stringify(exported.incidents)));
  assert.equal(whole.events.length, exported.events.length);
  assert.ok(whole.events.every((e) => e.kind !== 'drop' || (e.head !== undefined && /^([0-9a-f]{2})+$/.test(e.head))));
  assert.ok(whole.events.some((e) => e.cause === 'socket.rcvbuf-full'));
  assert.ok(!/[\u001b\u202e<]/.test(text(jsonOf(hostile(exported)))));
});

test('folded: a stack a line, callers first, the count last', () => {
  const exported = open('rule-drop');
  const lines = text(foldedOf(exported)).trim().split('\n');
  assert.match(lines[0]!, /^netfilter\.rule-drop;entry_SYSCALL_64_after_hwframe;.*;nf_hook_slow;.*nft_do_chain 40$/);
  const made = text(foldedOf(hostile(exported))).trim();
  assert.match(made, /^[^\s;]+;a_b_c\\x0a 1$/);
});

test('folded: flame graph tools take every line the same way, whatever the names', () => {
  // flamegraph.pl: blanks, then digits at the end; inferno: the last blank; speedscope: one blank, digits at the end
  const readers: readonly ((line: string) => readonly [stack: string, count: string] | undefined)[] = [
    (l) => { const m = /^(.*)\s+?(\d+(?:\.\d*)?)$/.exec(l); return m === null ? undefined : [m[1]!, m[2]!]; },
    (l) => { const at = l.lastIndexOf(' '); return at < 0 ? undefined : [l.slice(0, at), l.slice(at + 1)]; },
    (l) => { const m = /^(.*) (\d+)$/.exec(l); return m === null ? undefined : [m[1]!, m[2]!]; },
  ];
  const holds = (exported: Exported): void => {
    const whole = text(foldedOf(exported));
    const drops = exported.events.filter((e) => e.event.kind === 'drop');
    assert.ok(whole.endsWith('\n') && !/[\r\0]/.test(whole));
    let sum = 0;
    for (const line of whole.slice(0, -1).split('\n')) {
      const read = readers.map((r) => r(line));
      assert.deepEqual(read[1], read[0], line);
      assert.deepEqual(read[2], read[0], line);
      const [stack, count] = read[0]!;
      assert.match(count, /^[1-9]\d*$/);
      assert.ok(stack.split(';').length >= 2 && stack.split(';').every((f) => f !== '' && !/\s/.test(f)), stack);
      sum += Number(count);
    }
    assert.equal(sum, drops.length);
  };
  for (const file of RECORDINGS) holds(judged(readRecording(readFileSync(`${root}fixtures/${file}`)).records, ALL).exported);
  const one = open('rule-drop');
  fc.assert(fc.property(fc.array(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', ' ', ';', 'a 5', '7', 'x\n3')), { maxLength: 4 }), { minLength: 1, maxLength: 5 }), (stacks) => {
    const events = stacks.flatMap((names, i): ExportedEvent[] => {
      const e = one.events.filter((x) => x.event.kind === 'drop')[i]!;
      return e.event.kind === 'drop' ? [{ ...e, event: { ...e.event, stack: names.map((name) => ({ ...(e.event as DropEvent).place, name })) } }] : [];
    });
    holds({ ...one, events });
  }), { numRuns: 200 });
});

for (const file of RECORDINGS)
  test(`perfetto of ${file}: what the Trace Event Format says and Perfetto's importer needs`, () => {
    const { records } = readRecording(readFileSync(`${root}fixtures/${file}`));
    const exported = judged(records, ALL).exported;
    holdsToTraceEventFormat(text(chromeTraceOf(exported)), exported);
  });

test('perfetto: hosts that were joined, names of harm, many at once, and nothing at all', () => {
  const of = (host: string) => ({ name: host, records: readRecording(readFileSync(`${root}fixtures/merge/host-${host}.whydrop`)).records });
  const both = judged(merge([of('a'), of('b')]).records, ALL).exported;
  const threads = holdsToTraceEventFormat(text(chromeTraceOf(both)), both);
  assert.deepEqual([...threads.processes.values()].sort(), ['netns host-a:host', 'netns host-b:host']);
  const made = hostile(open('no-listener'));
  holdsToTraceEventFormat(text(chromeTraceOf(made)), made);
  const many = { ...both, events: Array.from({ length: 41 }, () => both.events).flat().sort((a, b) => (a.event.time < b.event.time ? -1 : 1)) };
  assert.ok(many.events.length > 4000);
  holdsToTraceEventFormat(text(chromeTraceOf(many)), many);
  const nothing = { ...both, events: [], incidents: [] };
  holdsToTraceEventFormat(text(chromeTraceOf(nothing)), nothing);
});
