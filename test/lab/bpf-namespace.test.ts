import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { armDrops } from '../../src/sources/bpf/index.ts';
import { counted, lab, skip, watching, type Lab } from './bpf-lab.ts';

/* Packets whose namespace their device does not tell: there is none yet, or its place is used for something else. */
let ns: Lab;
before(() => { if (skip === false) ns = lab('netns'); });
after(() => { if (skip === false) ns.remove(); });

test('a datagram with a wrong checksum that is found when it is read, long after it came in', { skip }, async () => {
  let out = '';
  const seen = await watching([armDrops], [ns.inode], async () => {
    ({ out } = await ns.python(`
import socket, struct
r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(('127.0.0.1', 7001)); r.settimeout(0.1)
w = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
lo = socket.inet_aton('127.0.0.1')
for i in range(5): # more than CHECKSUM_BREAK bytes: the kernel leaves the checksum to the reader
  udp = struct.pack('!HHHH', 5555, 7001, 508, 0x1234) + b'h' * 500
  w.sendto(struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0, lo, lo) + udp, ('127.0.0.1', 0))
try: r.recv(1000)
except socket.timeout: pass
print([l for l in open('/proc/thread-self/net/snmp') if l.startswith('Udp:')][1].split()[7])
`));
  });
  assert.equal(Number(out), 5, 'InCsumErrors');
  assert.equal(counted(seen, 'UDP_CSUM'), 5);
  assert.equal(seen.drops.length, 5);
  for (const drop of seen.drops) assert.deepEqual([drop.netns, drop.ifindex, drop.interface, drop.task.comm, drop.place.name], [ns.inode, 0, undefined, 'python3', 'udp_recvmsg']);
});

test('segments of an established connection that lost its route: as many as the kernel says', { skip }, async () => {
  const own = lab('route'); // its routes do not come back
  try {
    const outNoRoutes = (): number => Number(own.run('cat', '/proc/net/snmp').split('\n').filter((l) => l.startsWith('Ip:'))[1]?.split(' ')[12]);
    const before = outNoRoutes();
    // a reset at the end: nothing is sent again later
    const seen = await watching([armDrops], [own.inode], () => own.python(`
import socket, struct, subprocess, time
def ip(*a): subprocess.run(['ip', *a], check=True)
l = socket.socket(); l.bind(('127.0.0.1', 7002)); l.listen()
c = socket.socket(); c.connect(('127.0.0.1', 7002)); a, _ = l.accept()
ip('route', 'add', 'prohibit', '127.0.0.1/32', 'table', '100'); ip('rule', 'add', 'prio', '0', 'to', '127.0.0.1', 'dport', '7002', 'table', '100'); ip('rule', 'del', 'prio', '0', 'table', 'local')
for i in range(3):
  try: c.send(b'x')
  except OSError: pass
  time.sleep(0.02)
for s in (c, a):
  s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
  s.close()
`));
    const lost = outNoRoutes() - before;
    assert.ok(lost >= 3, `${lost}`);
    assert.equal(counted(seen, 'IP_OUTNOROUTES'), lost);
    const drop = seen.drops.find((d) => d.reason.name === 'IP_OUTNOROUTES');
    assert.deepEqual([drop?.netns, drop?.ifindex, drop?.socket?.remote, drop?.place.name], [own.inode, 0, '127.0.0.1:7002', '__ip_queue_xmit']);
    assert.equal(drop?.packet.ip, undefined, 'it has no IP header yet');
  } finally {
    own.remove();
  }
});

test('messages of Unix and netlink sockets are no packets', { skip }, async () => {
  const seen = await watching([armDrops], [], () => ns.python(`
import socket
x, y = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for i in range(5): x.send(b'unread')
n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); n.bind((0, 1))
`));
  assert.deepEqual(seen.drops.filter((d) => d.netns === ns.inode).map((d) => d.place.name), []);
  assert.deepEqual(seen.drops.filter((d) => /unix|netlink/.test(d.place.name ?? '')).map((d) => d.place.name), []);
});

test('what a closed socket had not read belongs to no namespace that happened to run', { skip }, async () => {
  const seen = await watching([armDrops], [], () => ns.python(`
import socket, time
for n in range(20):
  r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind(('127.0.0.1', 7003))
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
  for i in range(5): s.sendto(b'x', ('127.0.0.1', 7003))
  r.close()
time.sleep(0.1)
`));
  const purged = seen.counts.filter((c) => /_destruct/.test(c.place.name ?? '') && c.packets >= 5);
  assert.ok(purged.length > 0);
  assert.ok(purged.some((c) => c.netns === 0 || c.netns === ns.inode) && purged.filter((c) => c.place.name === 'udp_destruct_common').every((c) => c.netns === ns.inode || c.netns === 0), purged.map((c) => c.netns).join(' '));
});
