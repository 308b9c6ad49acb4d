import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { armCalls, armDrops, armExecs } from '../../src/sources/bpf/index.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { decodeCallCounts } from '../../src/timeline/sample.ts';
import { kernelNames, lab, skip, watching, type Lab } from './bpf-lab.ts';

let ns: Lab;
before(() => {
  if (skip !== false) return;
  ns = lab('calls');
  ns.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
  ns.run('ip6tables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
});
after(() => { if (skip === false) ns.remove(); });

const PYTHON = (body: string): string => `
import errno, os, socket
def attempt(f, *a):
  try: f(*a)
  except OSError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
t = socket.socket()
${body}
`;

test('every way to send that fails: call, errno, destination, the drop just before it in the same thread', { skip }, async () => {
  let pid = 0;
  const seen = await watching([armDrops, armCalls], [ns.inode], async () => {
    ({ pid } = await ns.python(PYTHON(`
attempt(u.sendto, b'one', ('127.0.0.1', 9000))
attempt(u.sendmsg, [b'two'], [], 0, ('127.0.0.1', 9000))
attempt(v.sendto, b'three', ('::1', 9000))
u.connect(('127.0.0.1', 9000))
attempt(os.write, u.fileno(), b'four')
attempt(os.writev, u.fileno(), [b'fi', b've'])
`)));
  });
  assert.deepEqual(seen.calls.map((c) => [c.syscall, c.errno, c.destination ?? c.socket?.remote, c.task.pid]), [
    ['sendto', 'EPERM', '127.0.0.1:9000', pid], ['sendmsg', 'EPERM', '127.0.0.1:9000', pid], ['sendto', 'EPERM', '[::1]:9000', pid], ['write', 'EPERM', '127.0.0.1:9000', pid], ['writev', 'EPERM', '127.0.0.1:9000', pid],
  ]);
  const drops = seen.drops.filter((d) => d.reason.name === 'NETFILTER_DROP');
  assert.equal(drops.length, 5);
  for (const [i, call] of seen.calls.entries()) {
    const drop = drops[i];
    assert.ok(drop && call.time > drop.time && call.time - drop.time < 50_000_000n);
    assert.deepEqual([call.task.tid, call.netns, call.socket?.address], [drop.task.tid, ns.inode, drop.socket?.address]);
  }
});

test('connect and bind with what they were asked for', { skip }, async () => {
  const seen = await watching([armCalls], [ns.inode], () => ns.python(PYTHON(`
attempt(t.connect, ('127.0.0.1', 9005))
attempt(u.bind, ('192.0.2.1', 53))
attempt(u.sendto, b'x', ('192.0.2.9', 53))
`)));
  assert.deepEqual(seen.calls.map((c) => [c.syscall, c.errno, c.destination]), [['connect', 'ECONNREFUSED', '127.0.0.1:9005'], ['bind', 'EADDRNOTAVAIL', '192.0.2.1:53'], ['sendto', 'ENETUNREACH', '192.0.2.9:53']]);
  assert.deepEqual(seen.calls.map((c) => c.socket?.type), [1, 2, 2]);
});

test('an ICMP error is told at the next receive', { skip }, async () => {
  const seen = await watching([armCalls], [ns.inode], () => ns.python(PYTHON(`
u.connect(('127.0.0.1', 9006))
u.send(b'x')
attempt(u.recv, 10)
`)));
  assert.deepEqual(seen.calls.map((c) => [c.syscall, c.errno, c.socket?.remote]), [['recvfrom', 'ECONNREFUSED', '127.0.0.1:9006']]);
});

test('what is no failure of a packet is not reported', { skip }, async () => {
  const seen = await watching([armCalls], [ns.inode], () => ns.python(PYTHON(`
u.setblocking(False); attempt(u.recv, 10)
t.setblocking(False); attempt(t.connect, ('127.0.0.1', 9007)); 
r, w = os.pipe(); os.close(r); attempt(os.write, w, b'x')
x, y = socket.socketpair(); y.close(); attempt(x.send, b'x')
attempt(os.write, 99, b'x')
attempt(os.write, os.open('/dev/null', os.O_RDONLY), b'x')
`)));
  assert.deepEqual(seen.calls.filter((c) => c.errno !== 'ECONNREFUSED').map((c) => [c.syscall, c.errno]), []);
});

test('a seccomp filter is noticed', { skip: skip !== false ? skip : spawnSync('python3', ['-c', 'import ctypes; ctypes.CDLL(None).prctl']).status !== 0 ? 'no python ctypes' : false }, async () => {
  const seen = await watching([armCalls], [ns.inode], () => ns.python(PYTHON(`
import ctypes, struct
attempt(u.sendto, b'x', ('127.0.0.1', 9000))
libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(struct.pack('HBBI', 0x06, 0, 0, 0x7fff0000)) # BPF_RET, SECCOMP_RET_ALLOW
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, program, 0, 0) == 0 # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
attempt(u.sendto, b'x', ('127.0.0.1', 9000))
`)));
  assert.deepEqual(seen.calls.map((c) => [c.errno, c.seccomp]), [['EPERM', false], ['EPERM', true]]);
});

test('a call that fails in a loop is described within its budget', { skip }, async () => {
  const seen = await watching([armCalls], [ns.inode], () => ns.python(PYTHON(`
for i in range(20000): attempt(u.sendto, b'x', ('127.0.0.1', 9000))
`)));
  assert.ok(seen.calls.length > 0 && seen.calls.length < 1_000, `${seen.calls.length} described`);
  assert.deepEqual(seen.missed, []);
});

test('a program that is gone at once still has its name and arguments', { skip }, async () => {
  const seen = await watching([armExecs], [], async () => { ns.run('/bin/echo', 'seven', 'wo rds', ''); });
  const exec = seen.execs.find((e) => e.filename === '/bin/echo' && e.argv.includes('wo rds'));
  assert.ok(exec);
  assert.deepEqual([exec.argv, exec.netns, exec.task.comm, exec.parent], [['/bin/echo', 'seven', 'wo rds', ''], ns.inode, 'echo', process.pid]);
});

test('calls that come within the 50 ms after a sample, when the counters have just been read, are counted: soon, and at the last drain', { skip }, async () => {
  for (const settle of [true, false]) {
    const probe = armCalls({ netns: [ns.inode], self: process.pid });
    assert.ok(!isUnavailable(probe));
    const child = ns.spawn('python3', '-uc', PYTHON(`
import sys
os.sched_setaffinity(0, {0})
for line in sys.stdin:
  for j in range(int(line)): attempt(u.sendto, b'x', ('127.0.0.1', 9000))
  print('.')
`));
    try {
      const records: RawRecord[] = [];
      const drain = (last = false): number => probe.drain((r) => records.push(r), last);
      const send = (n: number): Promise<unknown> => new Promise((done) => {
        child.stdout?.once('data', done);
        child.stdin?.write(`${n}\n`);
      });
      await send(100);
      drain();
      await sleep(172);
      await send(1);
      drain();
      await sleep(30);
      drain();
      await send(5);
      if (settle) {
        for (let i = 0; i < 5; i++) {
          await sleep(110);
          drain();
        }
      } else drain(true);
      const counted = Math.max(0, ...records.flatMap((r) => (r.record === 'call-counts' ? decodeCallCounts(r.bytes, r.time, kernelNames()).filter((c) => c.pid === child.pid).map((c) => c.calls) : [])));
      assert.equal(counted, 106);
    } finally {
      child.stdin?.end();
      probe.close();
    }
  }
});
