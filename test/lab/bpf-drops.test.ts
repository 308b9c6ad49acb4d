import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { netnsInode } from '../../src/base/brand.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { armCalls, armDrops, armExecs } from '../../src/sources/bpf/index.ts';
import { counted, lab, skip, watching, type Lab } from './bpf-lab.ts';

let ns: Lab;
before(() => {
  if (skip !== false) return;
  ns = lab('drops');
  ns.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
});
after(() => { if (skip === false) ns.remove(); });

/** Sends `argv[1]` datagrams to port `argv[2]`, on every CPU in turn. Prints how many the kernel refused. */
const SEND = `
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 40001))
refused = 0
for cpu in sorted(os.sched_getaffinity(0)):
  os.sched_setaffinity(0, {cpu})
  for i in range(int(sys.argv[1])):
    try: s.sendto(b'whydrop', ('127.0.0.1', int(sys.argv[2])))
    except PermissionError: refused += 1
print(refused)
`;

test('a rule drops what is sent: every packet counted and described, on every CPU', { skip }, async () => {
  let sent = { pid: 0, out: '' };
  const seen = await watching([armDrops], [ns.inode], async () => { sent = await ns.python(SEND, '20', '9000'); });
  const refused = Number(sent.out);
  assert.ok(refused >= 20);
  assert.equal(counted(seen, 'NETFILTER_DROP'), refused);
  assert.equal(seen.drops.length, refused, 'within the budget all are described');
  assert.deepEqual(seen.missed, []);
  for (const drop of seen.drops) {
    assert.deepEqual([drop.reason.name, drop.netns, drop.ifindex, drop.protocol, drop.length, drop.softirq], ['NETFILTER_DROP', ns.inode, 0, 0x0800, 35, false]);
    assert.deepEqual([drop.packet.ip?.destination, drop.packet.transport?.kind === 'udp' && [drop.packet.transport.sourcePort, drop.packet.transport.destinationPort]], ['127.0.0.1', [40001, 9000]]);
    assert.deepEqual([drop.task.pid, drop.task.comm, drop.socket?.local], [sent.pid, 'python3', '127.0.0.1:40001']);
    const functions = drop.stack.map((f) => f.name);
    assert.ok(functions.includes('nf_hook_slow') && functions.includes('udp_sendmsg'), functions.join(' '));
    assert.equal(functions[0], drop.place.name);
  }
});

test('a packet for a port that nobody holds', { skip }, async () => {
  const seen = await watching([armDrops], [ns.inode], () => ns.python(SEND, '3', '9001'));
  const drops = seen.drops.filter((d) => d.reason.name === 'NO_SOCKET');
  assert.equal(drops.length, counted(seen, 'NO_SOCKET'));
  assert.ok(drops.length >= 3);
  for (const drop of drops) assert.deepEqual([drop.netns, drop.interface, drop.incoming, drop.packet.transport?.kind === 'udp' && drop.packet.transport.destinationPort], [ns.inode, 'lo', 1, 9001]);
});

test('a full receive buffer names the socket that was to take the packet', { skip }, async () => {
  let result: number[] = [];
  const seen = await watching([armDrops], [ns.inode], async () => {
    const { out } = await ns.python(`
import os, socket
r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
r.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
r.bind(('127.0.0.1', 9002))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(12): s.sendto(b'y' * 900, ('127.0.0.1', 9002))
print(os.fstat(r.fileno()).st_ino)
print([l for l in open('/proc/thread-self/net/snmp') if l.startswith('Udp:')][1].split()[5])
`);
    result = out.trim().split('\n').map(Number);
  });
  const [inode, rcvbufErrors] = result;
  const drops = seen.drops.filter((d) => d.reason.name === 'SOCKET_RCVBUFF');
  assert.equal(counted(seen, 'SOCKET_RCVBUFF'), rcvbufErrors, 'as many as the kernel says');
  assert.equal(drops.length, rcvbufErrors);
  for (const drop of drops) {
    assert.ok(drop.receiver, 'rx_sk is there from 6.11 on');
    assert.deepEqual([drop.receiver.inode, drop.receiver.local, drop.receiver.family, drop.receiver.protocol], [inode, '127.0.0.1:9002', 2, 17]);
    assert.ok((drop.receiver.receiveQueued ?? 0) > 0 && (drop.receiver.receiveBuffer ?? 0) >= 2304);
  }
});

test('the conntrack entry of a packet comes along, both directions', { skip }, async () => {
  const own = lab('ct');
  try {
    own.run('iptables', '-t', 'nat', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9003', '-j', 'DNAT', '--to-destination', '127.0.0.1:9004');
    own.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9004', '-j', 'DROP');
    const seen = await watching([armDrops], [own.inode], () => own.python(SEND, '1', '9003'));
    const entry = seen.drops[0]?.conntrack;
    assert.ok(entry);
    assert.equal(entry.info, 2, 'new');
    assert.equal(entry.status & 8, 0, 'not confirmed');
    assert.deepEqual([entry.original?.source, entry.original?.destination, entry.original?.sourcePort, entry.original?.destinationPort], ['127.0.0.1', '127.0.0.1', 40001, 9003]);
    assert.deepEqual([entry.reply?.sourcePort, entry.reply?.destinationPort], [9004, 40001]);
  } finally {
    own.remove();
  }
});

test('only the namespaces that are watched; one more from the middle on', { skip }, async () => {
  const other = lab('other');
  try {
    const elsewhere = await watching([armDrops], [other.inode], () => ns.python(SEND, '5', '9000'));
    assert.deepEqual([elsewhere.counts.length, elsewhere.drops.length], [0, 0]);
    const probe = armDrops({ netns: [other.inode], self: process.pid });
    assert.ok(!isUnavailable(probe));
    try {
      await ns.python(SEND, '2', '9000');
      assert.equal(probe.drain(() => undefined), 0);
      probe.addNetns?.(ns.inode);
      const { out } = await ns.python(SEND, '2', '9000');
      assert.equal(probe.drain(() => undefined), Number(out));
    } finally {
      probe.close();
    }
  } finally {
    other.remove();
  }
});

test('a flood on every CPU: counted to the last packet, described within the budget', { skip, timeout: 60_000 }, async () => {
  const each = 60_000;
  let refused = 0;
  const seen = await watching([armDrops], [ns.inode], async () => {
    const script = SEND.replace("s.bind(('127.0.0.1', 40001))", '');
    const otherCpuFirst = script.replace('sorted(os.sched_getaffinity(0))', 'sorted(os.sched_getaffinity(0), reverse=True)');
    const outs = await Promise.all([ns.python(script, String(each), '9000'), ns.python(otherCpuFirst, String(each), '9000')]);
    refused = outs.reduce((sum, { out }) => sum + Number(out), 0);
  });
  assert.ok(refused >= 2 * each);
  assert.equal(counted(seen, 'NETFILTER_DROP'), refused);
  assert.ok(seen.drops.length > 0 && seen.drops.length < refused / 10, `${seen.drops.length} of ${refused} described`);
  assert.deepEqual(seen.missed, []);
});

test('probes leave nothing behind: not when they are closed, not when their process is killed', { skip }, async () => {
  const bpfFds = (): string[] => readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /bpf/.test(target) ? [target] : [];
    } catch {
      return []; // the listing's own descriptor
    }
  });
  for (const arm of [armDrops, armCalls, armExecs]) {
    const probe = arm({ netns: [netnsInode(1)], self: process.pid });
    assert.ok(!isUnavailable(probe));
    assert.ok(bpfFds().length > 2);
    probe.close();
    probe.close();
    assert.equal(probe.drain(() => assert.fail('closed')), 0);
    assert.deepEqual(bpfFds(), []);
  }
  const script = `const { armDrops } = await import(${JSON.stringify(new URL('../../src/sources/bpf/index.ts', import.meta.url).href)}); const p = armDrops({ netns: [], self: 1 }); console.log('unavailable' in p ? p.why : 'armed'); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(await new Promise((resolve) => child.stdout.once('data', (d: Buffer) => resolve(d.toString()))), 'armed\n');
  const fdinfo = readdirSync(`/proc/${child.pid}/fdinfo`).map((fd) => readFileSync(`/proc/${child.pid}/fdinfo/${fd}`, 'utf8'));
  const ids = (kind: string): number[] => fdinfo.flatMap((text) => Number(new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN) || []);
  const objects = [...ids('prog').map((id) => ['prog', id] as const), ...ids('map').map((id) => ['map', id] as const), ...ids('link').map((id) => ['link', id] as const)];
  const alive = () => objects.filter(([kind, id]) => spawnSync('bpftool', [kind, 'show', 'id', String(id)]).status === 0);
  assert.ok(objects.length >= 6 && alive().length === objects.length, JSON.stringify([objects, alive()]));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  for (let i = 0; i < 40 && alive().length > 0; i++) await sleep(50); // freed after an RCU grace period
  assert.deepEqual(alive(), []);
});
