import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as addressInUse } from '../../src/causes/socket/address-in-use.ts';
import { cause as backlogFull } from '../../src/causes/socket/backlog-full.ts';
import { cause as boundDevice } from '../../src/causes/socket/bound-device.ts';
import { cause as broadcast } from '../../src/causes/socket/broadcast-not-allowed.ts';
import { cause as listenOverflow } from '../../src/causes/socket/listen-overflow.ts';
import { cause as noListener } from '../../src/causes/socket/no-listener.ts';
import { cause as notPermitted } from '../../src/causes/socket/not-permitted.ts';
import { cause as portExhausted } from '../../src/causes/socket/port-exhausted.ts';
import { cause as rcvbufFull } from '../../src/causes/socket/rcvbuf-full.ts';
import { cause as tcpClosed } from '../../src/causes/socket/tcp-closed.ts';
import { cause as errno } from '../../src/causes/errno/not-a-drop.ts';
import { ADDRESSES, BLUE, call, counter, drop, found, judged, owner, process, programs, socketAnswers, sysctl, tcp, udp, type FakeSocket } from './socket-world.ts';

const SYN = 2, ACK = 16, PSH = 8, FIN = 1, RST = 4;
const toPort = (port: number) => drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.1', 40000, '10.0.0.2', port));

test('a UDP port that nobody has open', () => {
  const f = found(judged(noListener, toPort(9000), { answers: [...socketAnswers('udp', []), ADDRESSES] }));
  assert.equal(f.severity, 'warning');
  assert.match(f.culprit.text, /10\.0\.0\.2:9000/);
  assert.match(f.explanation, /no program has that port open/i);
});

test('a listener on another address is named', () => {
  const fake = { answers: [...socketAnswers('udp', [{ local: '127.0.0.1', port: 9000, state: 7, inode: 5 }]), ADDRESSES, owner(5, 12), process({ pid: 12, comm: 'statsd' })] };
  const f = found(judged(noListener, toPort(9000), fake));
  assert.match(f.explanation, /statsd .*listens on 127\.0\.0\.1:9000.*this host alone/);
  assert.match(f.remedies[0]?.text ?? '', /10\.0\.0\.2:9000 or on all addresses/);
});

test('a listener is there, and a BPF program refuses its packets; one of another namespace is innocent', () => {
  const open = [...socketAnswers('udp', [{ local: '0.0.0.0', port: 9000, state: 7, inode: 5 }]), ADDRESSES, owner(5, 12), process({ pid: 12, comm: 'statsd' })];
  const lookup = (netns: number) => found(judged(noListener, toPort(9000), { answers: [...open, programs({ id: 31, name: 'steer', type: 'sk_lookup', attached: [{ where: 'netns', netns, attachType: 'sk_lookup', link: 8 }] })] }));
  const f = lookup(BLUE);
  assert.match(f.culprit.text, /BPF program .*steer.* sk_lookup, refuses udp 10\.0\.0\.2:9000/);
  assert.ok(f.severity === 'warning' && f.remedies[0]?.command === 'bpftool link detach id 8');
  assert.equal(lookup(4026539999).severity, 'info');
  const shared = found(judged(noListener, toPort(9000), { answers: [...open, programs({ id: 32, name: 'pick', type: 'sk_reuseport', heldBy: [12] })] }));
  assert.match(shared.explanation, /pick.*\(reuseport\) of statsd .*chooses the socket/);
});

test('a service that has come back meanwhile, a late answer, chatter and ICMP are no more than information', () => {
  const back = found(judged(noListener, toPort(9000), { answers: [...socketAnswers('udp', [{ local: '0.0.0.0', port: 9000, state: 7, inode: 5 }]), ADDRESSES] }));
  assert.equal(back.severity, 'info');
  const late = found(judged(noListener, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.1', 53, '10.0.0.2', 45000)), { answers: [...socketAnswers('udp', []), ADDRESSES] }));
  assert.equal(late.severity, 'info');
  const chatter = found(judged(noListener, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.1', 137, '10.0.0.255', 137)), { answers: [...socketAnswers('udp', []), ADDRESSES] }));
  assert.equal(chatter.severity, 'info');
  const ping = drop('NO_SOCKET', 'ping_rcv', { ...udp('10.0.0.1', 0, '10.0.0.2', 0), transport: { kind: 'icmp', type: 0, code: 0 } });
  assert.equal(found(judged(noListener, ping)).severity, 'info');
});

test('a SYN to a closed port is a missing listener, a stray segment is not', () => {
  const syn = drop('NO_SOCKET', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 443, SYN));
  assert.equal(found(judged(noListener, syn, { answers: [...socketAnswers('tcp-listen', []), ADDRESSES] })).severity, 'warning');
  assert.equal(judged(noListener, drop('NO_SOCKET', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 443, ACK)), {}).outcome, 'not-applicable');
});

const VXLAN_LINK = '[{"ifindex":3,"ifname":"vx0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"qdisc":"noqueue","operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"ether","address":"96:39:eb:84:11:92","broadcast":"ff:ff:ff:ff:ff:ff","promiscuity":0,"min_mtu":68,"max_mtu":65535,"linkinfo":{"info_kind":"vxlan","info_data":{"id":5001,"remote":"10.0.0.1","local":"10.0.0.2","link":"eth0","port_range":{"low":0,"high":0},"port":8472,"learning":true,"ttl":0,"df":"unset","ageing":300,"udp_csum":true,"udp_zero_csum6_tx":false,"udp_zero_csum6_rx":false}},"inet6_addr_gen_mode":"eui64"}]';
const VXLAN_ADDRESS = '[{"ifindex":3,"ifname":"vx0","addr_info":[{"family":"inet","local":"10.77.0.2","prefixlen":24,"scope":"global","label":"vx0"},{"family":"inet6","local":"fe80::9439:ebff:fe84:1192","prefixlen":64,"scope":"link"}]}]';

test('a VXLAN device that was made with another UDP port', () => {
  const packet = udp('10.0.0.1', 51000, '10.0.0.2', 4789);
  const fake = { answers: [...socketAnswers('udp', []), [{ topic: 'link', netns: BLUE }, VXLAN_LINK], [{ topic: 'address', netns: BLUE }, VXLAN_ADDRESS]] as never };
  const f = found(judged(noListener, drop('NO_SOCKET', '__udp4_lib_rcv', { ...packet, inner: { tunnel: 'vxlan', key: 5001, packet: { defects: [] } } }), fake));
  assert.match(f.culprit.text, /vx0.*8472.*4789/);
  assert.equal(
    f.remedies[0]?.command,
    'ip -n blue link del vx0 && ip -n blue link add vx0 address 96:39:eb:84:11:92 type vxlan id 5001 remote 10.0.0.1 local 10.0.0.2 dev eth0 dstport 4789 && ip -n blue link set vx0 mtu 1450 && ip -n blue addr add 10.77.0.2/24 dev vx0 && ip -n blue link set vx0 up',
  );
  // another network id on the right port is not this device's
  const other = found(judged(noListener, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.9.9.9', 51000, '10.0.0.2', 9000)), fake));
  assert.doesNotMatch(other.culprit.text, /vx0/);
});

test('a refused connect: own port or a peer', () => {
  const own = found(judged(noListener, call('connect', 'ECONNREFUSED', { destination: '10.0.0.2:81' }), { answers: [...socketAnswers('tcp-listen', []), ADDRESSES] }));
  assert.ok(own.confidence >= 0.9);
  const open = judged(noListener, call('connect', 'ECONNREFUSED', { destination: '10.0.0.2:81' }), { answers: [...socketAnswers('tcp-listen', [{ local: '0.0.0.0', port: 81, state: 10, inode: 4 }]), ADDRESSES] });
  assert.equal(open.outcome, 'ruled-out');
  const peer = found(judged(noListener, call('connect', 'ECONNREFUSED', { destination: '10.0.0.9:81' }), { answers: [...socketAnswers('tcp-listen', []), ADDRESSES] }));
  assert.equal(peer.culprit.kind, 'peer');
});

const STATSD: FakeSocket = { local: '10.0.0.2', port: 8125, state: 7, inode: 7, memory: [4608, 4608, 349] };
const burst = drop('SOCKET_RCVBUFF', 'udp_queue_rcv_one_skb', udp('10.0.0.1', 40000, '10.0.0.2', 8125));
const BUFFERS = [sysctl('net/core/rmem_default', '212992'), sysctl('net/core/rmem_max', '212992')];

test('a full receive buffer that the program has made small itself', () => {
  const f = found(judged(rcvbufFull, burst, { answers: [...socketAnswers('udp', [STATSD]), owner(7, 12), process({ pid: 12, comm: 'statsd' }), ...BUFFERS] }));
  assert.match(f.culprit.text, /statsd \(pid 12.*8125.*4608/);
  assert.match(f.remedies[0]?.text ?? '', /SO_RCVBUF.*2304 bytes/);
  assert.match(f.explanation, /349 packets/);
});

test('a stopped reader is to go on; a reader with the default buffer gets a larger one', () => {
  const stopped = found(judged(rcvbufFull, burst, { answers: [...socketAnswers('udp', [STATSD]), owner(7, 12), process({ pid: 12, comm: 'statsd', state: 'T' }), ...BUFFERS] }));
  assert.equal(stopped.remedies[0]?.command, 'kill -CONT 12');
  assert.match(stopped.culprit.text, /stopped/);
  const usual = found(judged(rcvbufFull, burst, { answers: [...socketAnswers('udp', [{ ...STATSD, memory: [212992, 212992, 3] }]), owner(7, 12), process({ pid: 12, comm: 'statsd' }), ...BUFFERS] }));
  assert.ok(usual.remedies.some((r) => r.command?.startsWith('sysctl -w net.core.rmem_default=')));
});

test('other reasons, and a closed TCP window of a live reader, are no full buffer', () => {
  assert.equal(judged(rcvbufFull, drop('NO_SOCKET', 'udp_queue_rcv_one_skb', udp('10.0.0.1', 1, '10.0.0.2', 2))).outcome, 'not-applicable');
  const probe = drop('TCP_ZEROWINDOW', 'tcp_data_queue', tcp('10.0.0.1', 40000, '10.0.0.2', 8443, ACK));
  const fake = (state: string) => ({ answers: [...socketAnswers('tcp', [{ local: '10.0.0.2', port: 8443, remote: '10.0.0.1', remotePort: 40000, state: 1, inode: 9 }]), owner(9, 13), process({ pid: 13, comm: 'web', state }), ...BUFFERS] });
  assert.equal(judged(rcvbufFull, probe, fake('S')).outcome, 'not-applicable');
  assert.equal(found(judged(rcvbufFull, probe, fake('T'))).remedies[0]?.command, 'kill -CONT 13');
});

test('RcvbufErrors without an event point to the socket that counts drops', () => {
  const f = found(judged(rcvbufFull, counter('snmp Udp RcvbufErrors', 0, 40), { answers: [...socketAnswers('udp', [{ ...STATSD, port: 53, memory: [0, 212992, 0] }, STATSD]), owner(7, 12), process({ pid: 12, comm: 'statsd' }), ...BUFFERS] }));
  assert.match(f.culprit.text, /8125/);
  assert.equal(judged(rcvbufFull, counter('snmp Udp InErrors', 0, 40)).outcome, 'not-applicable');
});

const overflow = counter('netstat TcpExt ListenOverflows', 10, 21);
const LISTENER: FakeSocket = { local: '10.0.0.2', port: 8443, state: 10, inode: 20, queue: [2, 1], memory: [0, 131072, 11] };

test('an accept queue that somaxconn caps', () => {
  const f = found(judged(listenOverflow, overflow, { answers: [...socketAnswers('tcp-listen', [{ local: '0.0.0.0', port: 22, state: 10, inode: 21, queue: [0, 128] }, LISTENER]), owner(20, 30), process({ pid: 30, comm: 'burstd' }), sysctl('net/core/somaxconn', '1')] }));
  assert.equal(f.culprit.kind, 'sysctl');
  assert.match(f.culprit.text, /somaxconn = 1.*8443.*burstd/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.core.somaxconn=4096');
});

test('an accept queue that the program itself made short, or does not serve', () => {
  const answers = [...socketAnswers('tcp-listen', [LISTENER]), owner(20, 30), sysctl('net/core/somaxconn', '4096')];
  const own = found(judged(listenOverflow, overflow, { answers: [...answers, process({ pid: 30, comm: 'burstd' })] }));
  assert.equal(own.culprit.kind, 'process');
  assert.match(own.culprit.text, /backlog of 1/);
  const stopped = found(judged(listenOverflow, overflow, { answers: [...answers, process({ pid: 30, comm: 'burstd', state: 'T' })] }));
  assert.equal(stopped.remedies[0]?.command, 'kill -CONT 30');
  assert.equal(judged(listenOverflow, counter('netstat TcpExt TCPTimeouts', 1, 2)).outcome, 'not-applicable');
});

test('the overflow of a listener that has ended is still told, with the low limit', () => {
  const f = found(judged(listenOverflow, overflow, { answers: [...socketAnswers('tcp-listen', []), sysctl('net/core/somaxconn', '1')] }));
  assert.match(f.remedies[0]?.command ?? '', /somaxconn=4096/);
});

test('a full backlog', () => {
  const f = found(judged(backlogFull, drop('SOCKET_BACKLOG', 'tcp_add_backlog', tcp('10.0.0.1', 40000, '10.0.0.2', 8443, ACK)), { answers: [...socketAnswers('tcp', [{ local: '10.0.0.2', port: 8443, remote: '10.0.0.1', remotePort: 40000, state: 1, inode: 9 }]), owner(9, 13), process({ pid: 13, comm: 'web' })] }));
  assert.match(f.culprit.text, /web \(pid 13/);
  assert.equal(judged(backlogFull, burst).outcome, 'not-applicable');
});

const API = [...socketAnswers('tcp-listen', [{ local: '10.0.0.2', port: 8443, state: 10, inode: 40 }]), owner(40, 50), process({ pid: 50, comm: 'apid' })];

test('a request on a connection that the server had closed is a loss', () => {
  const f = found(judged(tcpClosed, drop('NOT_SPECIFIED', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 8443, PSH | ACK, 57)), { answers: API }));
  assert.equal(f.severity, 'warning');
  assert.match(f.culprit.text, /apid \(pid 50.*8443/);
});

test('the segments that every closing connection leaves are not', () => {
  for (const flags of [FIN | ACK, ACK, RST, RST | ACK]) {
    assert.equal(found(judged(tcpClosed, drop('NOT_SPECIFIED', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 7000, flags)), { answers: API })).severity, 'info');
  }
  assert.equal(found(judged(tcpClosed, drop('NOT_SPECIFIED', 'tcp_rcv_state_process', tcp('10.0.0.1', 40000, '10.0.0.2', 7000, RST)), {})).severity, 'info');
  assert.equal(found(judged(tcpClosed, drop('NO_SOCKET', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 7000, PSH | ACK, 1500)), {})).severity, 'info');
  assert.equal(judged(tcpClosed, drop('TCP_CSUM', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 7000, ACK))).outcome, 'not-applicable');
});

test('EPIPE at a sender is a loss, ECONNRESET at a reader is not', () => {
  const socket = { address: 0n as never, family: 2, protocol: 6, remote: '10.0.0.2:8443', local: '10.0.0.1:40000' };
  assert.equal(found(judged(tcpClosed, call('sendto', 'EPIPE', { socket }))).severity, 'warning');
  assert.equal(found(judged(tcpClosed, call('recvfrom', 'ECONNRESET', { socket }))).severity, 'info');
  assert.equal(judged(tcpClosed, call('write', 'EPIPE', { socket: { ...socket, family: 1 } })).outcome, 'not-applicable');
  assert.match(found(judged(tcpClosed, call('sendto', 'EPIPE', { socket: { ...socket, remote: '0.0.0.0:0' } }))).explanation, /never connected/);
  assert.doesNotMatch(found(judged(tcpClosed, call('sendto', 'EPIPE', { socket }))).explanation, /never connected/);
});

test('a broadcast without SO_BROADCAST, and what only looks like one', () => {
  const answers = [ADDRESSES, process({ pid: 4711, comm: 'agentd' })];
  const f = found(judged(broadcast, call('sendto', 'EACCES', { destination: '10.0.0.255:9000' }), { answers }));
  assert.match(f.culprit.text, /agentd .*10\.0\.0\.255 without SO_BROADCAST/);
  assert.equal(judged(broadcast, call('sendto', 'EACCES', { destination: '10.0.0.9:9000' }), { answers }).outcome, 'ruled-out');
  assert.equal(judged(broadcast, call('sendto', 'EPERM', { destination: '10.0.0.255:9000' }), { answers }).outcome, 'not-applicable');
  assert.equal(found(judged(broadcast, call('sendto', 'EACCES', { destination: '255.255.255.255:67' }), { answers })).outcome, 'found');
});

test('no local port left, and one that is there', () => {
  const taken = (n: number): FakeSocket[] => Array.from({ length: n }, (_, i) => ({ local: '10.0.0.2', port: 40000 + i, remote: '10.0.0.1', remotePort: 443, state: i % 2 === 0 ? 6 : 1 }));
  const range = [sysctl('net/ipv4/ip_local_port_range', '40000\t40009'), ADDRESSES, process({ pid: 4711, comm: 'agentd' })];
  const failed = call('connect', 'EADDRNOTAVAIL', { destination: '10.0.0.1:443' });
  const f = found(judged(portExhausted, failed, { answers: [...range, ...socketAnswers('tcp', taken(10))] }));
  assert.match(f.culprit.text, /40000 40009.*10 of 10.*10\.0\.0\.1:443/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.ip_local_port_range="1024 65535"');
  assert.equal(judged(portExhausted, failed, { answers: [...range, ...socketAnswers('tcp', taken(3))] }).outcome, 'ruled-out');
  assert.equal(judged(portExhausted, call('connect', 'EADDRNOTAVAIL', { destination: '10.0.0.7:80' }), { answers: [...range, ...socketAnswers('tcp', taken(10))] }).outcome, 'ruled-out', 'other destinations may use the same ports');
});

test('a port that another program has', () => {
  const answers = [ADDRESSES, ...API.slice(2), ...socketAnswers('tcp', [{ local: '0.0.0.0', port: 8443, state: 10, inode: 40 }])];
  assert.match(found(judged(addressInUse, call('bind', 'EADDRINUSE', { destination: '0.0.0.0:8443' }), { answers })).culprit.text, /apid/);
  const again = call('bind', 'EADDRINUSE', { destination: '0.0.0.0:8443', task: { pid: 50, tid: 50, comm: 'apid' } });
  assert.equal(found(judged(addressInUse, again, { answers })).severity, 'info', 'it has got the port at another try');
  assert.match(found(judged(errno, call('bind', 'EADDRNOTAVAIL', { destination: '10.9.9.9:80' }), { answers })).explanation, /No interface/);
  assert.equal(judged(errno, call('bind', 'EADDRNOTAVAIL', { destination: '10.0.0.2:80' }), { answers }).outcome, 'ruled-out');
});

test('control messages without privilege, and with', () => {
  const without = found(judged(notPermitted, call('sendmsg', 'EPERM'), { answers: [process({ pid: 4711, comm: 'agentd' })] }));
  assert.ok(without.confidence <= 0.5, 'it cannot be seen, only suspected');
  assert.equal(judged(notPermitted, call('sendmsg', 'EPERM'), { answers: [process({ pid: 4711, comm: 'agentd', capabilities: ['CAP_NET_ADMIN'] })] }).outcome, 'ruled-out');
});

test('an errno that says all itself', () => {
  assert.equal(found(judged(errno, call('connect', 'EINPROGRESS'))).severity, 'info');
  assert.equal(found(judged(errno, call('sendto', 'ENETDOWN'))).severity, 'warning');
  assert.equal(judged(errno, call('sendto', 'EPERM')).outcome, 'not-applicable');
});

test('a socket bound to lo that sends to another host; a closed port of this host on lo is something else', () => {
  const answers = [ADDRESSES, ...socketAnswers('udp', [{ local: '0.0.0.0', port: 45000, state: 7, inode: 61, ifindex: 1 }]), owner(61, 4711), process({ pid: 4711, comm: 'agentd' })];
  const f = found(judged(boundDevice, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.2', 45000, '10.0.0.1', 9000), { interface: 'lo', ifindex: 1 }), { answers }));
  assert.match(f.culprit.text, /agentd \(pid 4711.*bound to interface lo/);
  assert.equal(judged(boundDevice, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.2', 45000, '10.0.0.2', 9000), { interface: 'lo', ifindex: 1 }), { answers }).outcome, 'ruled-out');
  assert.equal(judged(boundDevice, drop('NO_SOCKET', '__udp4_lib_rcv', udp('127.0.0.1', 45000, '127.0.0.53', 53), { interface: 'lo', ifindex: 1 }), { answers }).outcome, 'ruled-out');
  assert.equal(judged(boundDevice, toPort(9000), { answers }).outcome, 'not-applicable');
});

test('connect() never tries the odd port at the end of its range', () => {
  const taken = Array.from({ length: 4 }, (_, i): FakeSocket => ({ local: '10.0.0.2', port: 40000 + i, remote: '10.0.0.1', remotePort: 443, state: 1 }));
  const answers = [sysctl('net/ipv4/ip_local_port_range', '40000 40004'), ADDRESSES, process({ pid: 4711, comm: 'agentd' }), ...socketAnswers('tcp', taken)];
  assert.match(found(judged(portExhausted, call('connect', 'EADDRNOTAVAIL', { destination: '10.0.0.1:443' }), { answers })).culprit.text, /4 of 5/);
});
