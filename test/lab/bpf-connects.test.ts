/* TCP connection attempts that come to nothing, on the live kernel. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { armConnects } from '../../src/sources/bpf/index.ts';
import { lab, skip, watching, type Lab } from './bpf-lab.ts';

let ns: Lab;
before(() => {
  if (skip !== false) return;
  ns = lab('cn');
  ns.run('iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', '9001', '-j', 'DROP');
});
after(() => {
  if (skip === false) ns.remove();
});

const ATTEMPTS = `
import select, socket, time
def nonblocking(to, family=socket.AF_INET, wait=5):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setblocking(False)
    s.connect_ex(to)
    select.select([], [s], [], wait)
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    print(s.getsockname()[1] if error == 0 and wait < 5 else error)
    s.close()
`;

test('a refused attempt has the errno that only SO_ERROR tells, the asking process, and both ends', { skip }, async () => {
  let pid = 0;
  let out = '';
  const seen = await watching([armConnects], [ns.inode], async () => {
    ({ pid, out } = await ns.python(`${ATTEMPTS}
nonblocking(('127.0.0.1', 9005))
nonblocking(('::1', 9005), socket.AF_INET6)
`));
  });
  assert.deepEqual(out.trim().split('\n'), ['111', '111']);
  assert.deepEqual(seen.calls.map((c) => [c.syscall, c.errno, c.destination, c.task.pid, c.netns, c.socket?.protocol]), [
    ['connect', 'ECONNREFUSED', '127.0.0.1:9005', pid, ns.inode, 6], ['connect', 'ECONNREFUSED', '[::1]:9005', pid, ns.inode, 6],
  ]);
  for (const { socket, attempt, task } of seen.calls) {
    assert.match(socket?.local ?? '', /^(127\.0\.0\.1|\[::1\]):[1-9]\d+$/, 'the port that the socket had');
    assert.equal(attempt?.resent, 0);
    assert.ok(attempt !== undefined && attempt.waited < 2_000_000_000n);
    assert.match(task.comm, /^python/);
  }
});

test('an attempt that nobody answers is told when the program gives it up', { skip }, async () => {
  let out = '';
  const seen = await watching([armConnects], [ns.inode], async () => {
    ({ out } = await ns.python(`${ATTEMPTS}nonblocking(('127.0.0.1', 9001), wait=1.5)`));
  });
  assert.deepEqual(seen.calls.map((c) => [c.errno, c.socket?.local, c.destination]), [['EINPROGRESS', `127.0.0.1:${out.trim()}`, '127.0.0.1:9001']]);
  const attempt = seen.calls[0]?.attempt;
  assert.ok(attempt !== undefined && attempt.waited > 1_400_000_000n && attempt.resent >= 1);
});

test('nothing is told of what connects, of impatience, and of a call that has its error itself', { skip }, async () => {
  const seen = await watching([armConnects], [ns.inode], () => ns.python(`${ATTEMPTS}
server = socket.create_server(('127.0.0.1', 9002))
nonblocking(('127.0.0.1', 9002))
nonblocking(('127.0.0.1', 9001), wait=0.3)
blocking = socket.socket()
try: blocking.connect(('127.0.0.1', 9005))
except ConnectionRefusedError: pass
`));
  assert.deepEqual(seen.calls, []);
});
