import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as notADrop } from '../../src/causes/errno/not-a-drop.ts';
import { cause as echoIgnored } from '../../src/causes/icmp/echo-ignored.ts';
import { cause as sourceRoute } from '../../src/causes/ip/source-route-refused.ts';
import { cause as ip6Disabled } from '../../src/causes/ipv6/disabled.ts';
import { cause as down } from '../../src/causes/link/down.ts';
import { cause as blackhole } from '../../src/causes/route/blackhole.ts';
import { cause as martianSource } from '../../src/causes/route/martian-source.ts';
import { cause as noRoute } from '../../src/causes/route/no-route.ts';
import { cause as prohibit } from '../../src/causes/route/prohibit.ts';
import { cause as unreachable } from '../../src/causes/route/unreachable.ts';
import { cause as ttlExceeded } from '../../src/causes/ip/ttl-exceeded.ts';
import { cause as mtuExceeded } from '../../src/causes/ip/mtu-exceeded.ts';
import { cause as localSocket } from '../../src/causes/normal/local-socket.ts';
import { cause as notJoined } from '../../src/causes/socket/multicast-not-joined.ts';
import { decodeIgmp } from '../../src/formats/group-membership.ts';
import { cause as noListener } from '../../src/causes/socket/no-listener.ts';
import type { DropCountEvent } from '../../src/model/event.ts';
import type { CounterSymptom } from '../../src/model/symptom.ts';
import { TCP_FLAG } from '../../src/model/packet.ts';
import { fakeEvidence, type Answered } from '../fake-evidence.ts';
import { callIn, dropIn, found, innocent, judged, packet, world, type World } from './network-world.ts';
import { ADDRESSES, call, counter, drop, found as foundSocket, judged as judgedSocket, socketAnswers, sysctl, tcp, udp } from './socket-world.ts';

const two = world('healthy-two'), routed = world('healthy-routed');
const command = (f: ReturnType<typeof found>): string => f.remedies[0]?.command ?? '';
const listing = (w: World, short: string, topic: 'rule' | 'route' | 'address', body: string): Answered => [{ topic, netns: w.netns(short) }, body];

test('a policy rule for a port that says unreachable: ENETUNREACH, unlike a route of that type', () => {
  // ip -j -d rule, iproute2 6.1
  const rules = listing(two, 'a', 'rule', '[{"priority":0,"src":"all","table":"local"},{"priority":60,"src":"all","ipproto":"udp","dport":9000,"action":"unreachable"},{"priority":32766,"src":"all","table":"main"}]');
  const send = (port: number, protocol: number) => {
    const s = callIn(two, 'a', 'ENETUNREACH', `10.0.0.2:${port}`);
    return { ...s, call: { ...s.call, socket: { address: 1n as never, family: 2, protocol, local: '0.0.0.0:40000' } } };
  };
  const f = found(judged(unreachable, two, send(9000, 17), [rules]));
  assert.match(f.culprit.text, /60: from all ipproto udp dport 9000 unreachable/);
  assert.equal(command(f), 'ip -n net-a rule del pref 60');
  innocent(judged(unreachable, two, send(53, 17), [rules]));
  innocent(judged(unreachable, two, send(9000, 6), [rules]));
});

test('a policy rule for some users refuses those only, and is put back as it was', () => {
  const rules = listing(two, 'a', 'rule', '[{"priority":0,"src":"all","table":"local"},{"priority":40,"src":"all","tos":"0x10","uid_start":4000,"uid_end":5000,"action":"unreachable"},{"priority":41,"src":"all","uid_start":4000,"uid_end":5000,"action":"unreachable"},{"priority":32766,"src":"all","table":"main"}]');
  const send = (uid: number) => {
    const s = callIn(two, 'a', 'ENETUNREACH', '10.0.0.2:9000');
    return { ...s, call: { ...s.call, task: { ...s.call.task, uid } } };
  };
  assert.match(found(judged(unreachable, two, send(4321), [rules])).culprit.text, /41: from all uidrange 4000-5000 unreachable/);
  innocent(judged(unreachable, two, send(0), [rules]));
  const tos = listing(two, 'a', 'rule', '[{"priority":40,"src":"all","tos":"0x10","action":"unreachable"},{"priority":32766,"src":"all","table":"main"}]');
  const s = dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.0.2', '10.0.7.7') });
  const f = found(judged(unreachable, two, { ...s, drop: { ...s.drop, packet: { ...s.drop.packet, ip: { ...s.drop.packet.ip!, tos: 0x10 } } } }, [tos]));
  assert.equal(f.remedies[0]?.undo, 'ip -n net-a rule add from all tos 0x10 unreachable pref 40');
});

test('the policy rule that leads to the table of a refusing route is named with it', () => {
  const rules = listing(two, 'a', 'rule', '[{"priority":0,"src":"all","table":"local"},{"priority":40,"src":"10.0.0.1","table":"100"},{"priority":32766,"src":"all","table":"main"}]');
  const route = (table: string) => listing(two, 'a', 'route', `[{"type":"prohibit","dst":"10.9.0.0/16","table":"${table}","flags":[]},{"type":"unicast","dst":"10.0.0.0/24","dev":"eth0","table":"main","scope":"link","flags":[]}]`);
  const s = callIn(two, 'a', 'EACCES', '10.9.0.9:9000');
  const from = { ...s, call: { ...s.call, socket: { address: 1n as never, family: 2, protocol: 17, local: '10.0.0.1:40000' } } };
  assert.match(found(judged(prohibit, two, from, [rules, route('100')])).explanation, /The policy rule 40: from 10\.0\.0\.1\/32 lookup 100 sends them to that table/);
  assert.doesNotMatch(found(judged(prohibit, two, from, [rules, route('main')])).explanation, /sends them to that table/);
});

test('a rule before the local table keeps a host from its own address; a foreign one is a matter of forwarding', () => {
  const rules = listing(two, 'b', 'rule', '[{"priority":0,"src":"all","dst":"10.0.0.2","table":"33"},{"priority":10,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"}]');
  const route = listing(two, 'b', 'route', '[{"type":"blackhole","dst":"10.0.0.2","table":"33","flags":[]},{"type":"local","dst":"10.0.0.2","dev":"eth0","table":"local","scope":"host","flags":[]},{"type":"unicast","dst":"10.0.0.0/24","dev":"eth0","table":"main","scope":"link","flags":[]}]');
  const hit = (to: string) => dropIn(two, 'b', { reason: 'IP_INADDRERRORS', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', to) });
  assert.match(found(judged(blackhole, two, hit('10.0.0.2'), [rules, route])).culprit.text, /^blackhole 10\.0\.0\.2.* table 33/);
  innocent(judged(blackhole, two, hit('10.0.0.9'), [rules, route]));
});

test('a router does not pass on link-local sources; others at the same place are no martians', () => {
  const hit = (from: string, reason: string) => judged(martianSource, routed, dropIn(routed, 'r', { reason, symbol: 'ip6_forward', device: 'eth0', from: 'eth0', packet: packet(from, 'fd02::2') }));
  const f = found(hit('fe80::1', 'IP_INADDRERRORS'));
  assert.match(f.explanation, /good on one link only and never forwarded/);
  found(hit('fe80::1', 'NOT_SPECIFIED'));
  innocent(hit('fd01::2', 'IP_INADDRERRORS'));
});

test('a route that refuses by its nexthop object is removed by its id', () => {
  const route = listing(two, 'a', 'route', '[{"type":"blackhole","dst":"10.9.0.0/24","nhid":7,"dev":"lo","table":"main","protocol":"boot","scope":"global","flags":[],"nh_info":{"id":7,"scope":"global","blackhole":null,"protocol":"unspec","flags":[]}},{"type":"unicast","dst":"10.0.0.0/24","dev":"eth0","table":"main","scope":"link","prefsrc":"10.0.0.1","flags":[]}]');
  const f = found(judged(blackhole, two, callIn(two, 'a', 'EINVAL', '10.9.0.9:9000'), [route]));
  assert.match(command(f), /^ip -n net-a route del 10\.9\.0\.0\/24 nhid 7/);
});

const clue = (w: World, short: string, name: string, by: number): CounterSymptom => ({ ...counter(name, 0, by), netns: w.netns(short), clue: true });
const proc = (w: World, short: string, file: string, body: string): Answered => [{ topic: 'proc', netns: w.netns(short), argument: `net/${file}` }, body];

test('connection attempts that cannot be answered: no way back', () => {
  const onLink = listing(routed, 'b', 'route', '[{"type":"unicast","dst":"10.0.2.0/24","dev":"eth0","table":"main","scope":"link","prefsrc":"10.0.2.2","flags":[]}]');
  const forwards: Answered = [{ topic: 'sysctl', netns: routed.netns('r'), argument: 'net/ipv4/ip_forward' }, '1'];
  const snmp = (n: number) => proc(routed, 'b', 'snmp', `Ip: OutNoRoutes\nIp: ${n}\n`);
  const symptom = clue(routed, 'b', 'netstat TcpExt ListenDrops', 4);
  const f = found(judged(noRoute, routed, symptom, [onLink, forwards, snmp(4)], [snmp(0)]));
  assert.match(f.culprit.text, /no default route/);
  assert.equal(command(f), 'ip -n net-b route add default via 10.0.2.1 dev eth0');
  innocent(judged(noRoute, routed, symptom, [onLink, snmp(4)], [snmp(4)])); // dropped for another reason
  innocent(judged(noRoute, routed, symptom, [snmp(4)], [snmp(0)])); //         there is a default route
});

test('pings that a setting ignores', () => {
  const f = foundSocket(judgedSocket(echoIgnored, counter('snmp Icmp InEchos', 0, 5), { answers: [sysctl('net/ipv4/icmp_echo_ignore_all', '1')] }));
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.icmp_echo_ignore_all=0');
  const six = foundSocket(judgedSocket(echoIgnored, counter('snmp Icmp6InEchos', 0, 5), { answers: [sysctl('net/ipv6/icmp/echo_ignore_all', '1')] }));
  assert.match(six.culprit.text, /net\.ipv6\.icmp\.echo_ignore_all = 1/);
  assert.equal(judgedSocket(echoIgnored, counter('snmp Icmp InEchos', 0, 5), { answers: [sysctl('net/ipv4/icmp_echo_ignore_all', '0')] }).outcome, 'ruled-out');
});

test('an own address that is still tentative, or a duplicate', () => {
  const address = (flags: string): Answered => [ADDRESSES[0], `[{"ifindex":2,"ifname":"eth0","flags":[],"addr_info":[{"family":"inet6","local":"fd00::6","prefixlen":64,"scope":"global"${flags}}]}]`];
  const bind = call('bind', 'EADDRNOTAVAIL', { destination: '[fd00::6]:9000' });
  const f = foundSocket(judgedSocket(notADrop, bind, { answers: [address(',"tentative":true')] }));
  assert.match(f.culprit.text, /fd00::6 on eth0.*tentative/);
  assert.equal(f.remedies[0]?.command, 'ip -n blue -6 addr del fd00::6/64 dev eth0 && ip -n blue -6 addr add fd00::6/64 dev eth0 nodad');
  assert.equal(judgedSocket(notADrop, bind, { answers: [address('')] }).outcome, 'ruled-out');
});

test('options that a missing device or a limit refuses', () => {
  const set = (level: bigint, name: bigint, errno: string) => judgedSocket(notADrop, call('setsockopt', errno, { args: [3n, level, name, 0n, 8n, 0n] }), { answers: [sysctl('net/ipv4/igmp_max_memberships', '20')] });
  assert.match(foundSocket(set(1n, 25n, 'ENODEV')).culprit.text, /SO_BINDTODEVICE of agentd.*no such interface/);
  assert.match(foundSocket(set(0n, 35n, 'ENODEV')).explanation, /no route leads to the group/);
  assert.equal(foundSocket(set(0n, 35n, 'ENOBUFS')).remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.igmp_max_memberships=256');
  assert.ok(foundSocket(set(6n, 1n, 'ENOBUFS')).confidence < 0.5); // another option: only what the errno says
});

test('an IPv4 address in IPv6 form, and a socket that speaks IPv6 alone', () => {
  const send = (destination: string) => foundSocket(judgedSocket(notADrop, call('sendto', 'ENETUNREACH', { destination }), { answers: [ADDRESSES] }));
  assert.match(send('[::ffff:10.0.0.2]:9000').culprit.text, /10\.0\.0\.2:9000 by an IPv6 socket that is IPV6_V6ONLY/);
  assert.doesNotMatch(send('[fd00::9]:9000').explanation, /V6ONLY/);
});

test('UDP_SEGMENT larger than the MTU; another errno at the same place is not that', () => {
  const hit = (errno: string) => dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol: 'udp_send_skb', packet: { defects: [] }, call: callIn(two, 'a', errno, '10.0.0.2:9000').call });
  const route: Answered = [{ topic: 'route-get', netns: two.netns('a'), argument: '10.0.0.2' }, '[{"dst":"10.0.0.2","dev":"eth0","prefsrc":"10.0.0.1","flags":[],"cache":[]}]'];
  assert.match(found(judged(mtuExceeded, two, hit('EMSGSIZE'), [route])).culprit.text, /^sender \(pid 4711\): UDP_SEGMENT size above mtu 1500 of eth0/);
  innocent(judged(mtuExceeded, two, hit('EIO'), [route]));
});

test('a socket bound to the loopback address that sends to another host', () => {
  const socket = { address: 1n as never, family: 2, protocol: 17, local: '127.0.0.1:4000' };
  const send = (local: string, destination: string) => judgedSocket(notADrop, call('sendto', 'EINVAL', { destination, socket: { ...socket, local } }), { answers: [ADDRESSES] });
  assert.match(foundSocket(send('127.0.0.1:4000', '10.0.0.9:9000')).culprit.text, /sends from 127\.0\.0\.1/);
  assert.doesNotMatch(foundSocket(send('10.0.0.2:4000', '10.0.0.9:9000')).culprit.text, /loopback/);
});

test('a routing header of a type that is never taken', () => {
  const hit = dropIn(two, 'b', { reason: 'NOT_SPECIFIED', symbol: 'ipv6_rthdr_rcv', device: 'eth0', from: 'eth0', packet: packet('fd00::1', 'fd00::2', { protocol: 43 }) });
  const conf: Answered = [{ topic: 'sysctl', netns: two.netns('b'), argument: 'net/ipv6/conf/*/accept_source_route' }, 'net/ipv6/conf/all/accept_source_route = 0\nnet/ipv6/conf/eth0/accept_source_route = 0'];
  assert.match(found(judged(sourceRoute, two, hit, [conf])).culprit.text, /fd00::1 sends IPv6 routing headers/);
});

test('traceroute, MTU discovery and a port that is tried are everyday business while they are few', () => {
  const expired = (port: number) => found(judged(ttlExceeded, routed, dropIn(routed, 'r', { reason: 'IP_INHDR', symbol: 'ip_forward', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.2.2', { ttl: 1, port }) })));
  assert.equal(expired(33436).few, 9);
  assert.equal(expired(9000).few, undefined);
  const big = dropIn(routed, 'r', { reason: 'PKT_TOO_BIG', symbol: 'ip_forward', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.2.2', { length: 1600 }), length: 1614 });
  assert.equal(found(judged(mtuExceeded, routed, big)).few, 2);
  const syn = drop('NO_SOCKET', 'tcp_v4_rcv', tcp('10.0.0.1', 40000, '10.0.0.2', 81, TCP_FLAG.SYN));
  assert.equal(foundSocket(judgedSocket(noListener, syn, { answers: [...socketAnswers('tcp-listen', []), ADDRESSES] })).few, 3);
  const lo = foundSocket(judgedSocket(noListener, syn, { answers: [...socketAnswers('tcp-listen', [{ local: '127.0.0.1', port: 81, state: 10, inode: 0 }]), ADDRESSES] }));
  assert.equal(lo.few, undefined); // the service is there, on the wrong address
  const datagram = (port: number) => foundSocket(judgedSocket(noListener, drop('NO_SOCKET', '__udp4_lib_rcv', udp('10.0.0.1', 40000, '10.0.0.2', port)), { answers: [...socketAnswers('udp', []), ADDRESSES] })).few;
  assert.deepEqual([datagram(9000), datagram(33440)], [undefined, 3]);
});

// /proc/net/igmp, kernel 6.18
const IGMP = 'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n2\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n3\teth1      :     2      V3\n\t\t\t\t030201EF     1 0:00000000\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n';

test('a group that was joined on another interface', () => {
  assert.deepEqual(decodeIgmp(IGMP).filter((m) => m.group === '239.1.2.3'), [{ device: 'eth1', group: '239.1.2.3' }]);
  const links: Answered = [{ topic: 'link', netns: ADDRESSES[0].netns! }, '[{"ifindex":2,"ifname":"eth0","flags":["UP","LOWER_UP"],"mtu":1500},{"ifindex":3,"ifname":"eth1","flags":["UP","LOWER_UP"],"mtu":1500}]'];
  const judge = (port: number, igmp = IGMP) => judgedSocket(notJoined, drop('NOT_SPECIFIED', 'ip_rcv_finish_core', udp('10.0.0.1', 40000, '239.1.2.3', port), { incoming: 2 }), { answers: [...socketAnswers('udp', [{ local: '0.0.0.0', port: 9000, state: 7, inode: 0 }, { local: '0.0.0.0', port: 5353, state: 7, inode: 0 }]), links, [{ topic: 'proc', netns: ADDRESSES[0].netns!, argument: 'net/igmp' }, igmp]] });
  const f = foundSocket(judge(9000));
  assert.match(f.culprit.text, /joined 239\.1\.2\.3 on eth1, not on eth0/);
  assert.equal(f.remedies[1]?.command, 'ip netns exec blue ip route replace 239.1.2.3/32 dev eth0');
  assert.equal(judge(9001).outcome, 'ruled-out'); //                                             nobody listens
  assert.equal(judge(5353).outcome, 'not-applicable'); //                                        mDNS goes everywhere
  assert.equal(judge(9000, IGMP.replace('030201EF', '040201EF')).outcome, 'ruled-out'); //       nobody has joined at all
  // who binds to the group itself wants it, and has forgotten to join
  const bound = (local: string, igmp: string) => judgedSocket(notJoined, drop('NOT_SPECIFIED', 'ip_rcv_finish_core', udp('10.0.0.1', 40000, '239.1.2.3', 9000), { incoming: 2 }), { answers: [...socketAnswers('udp', [{ local, port: 9000, state: 7, inode: 0 }]), links, [{ topic: 'proc', netns: ADDRESSES[0].netns!, argument: 'net/igmp' }, igmp]] });
  assert.match(foundSocket(bound('239.1.2.3', IGMP.replace('030201EF', '040201EF'))).culprit.text, /bound to 239\.1\.2\.3, but has not joined it on eth0/);
  assert.equal(bound('239.9.9.9', IGMP).outcome, 'ruled-out');
});

test('a tunnel without a route to its far end', () => {
  const w = world('vxlan-unknown-vni');
  const device = (JSON.parse(String(w.answers.find(([q]) => q.topic === 'link' && q.netns === w.netns('a'))?.[1])) as { ifname: string; linkinfo?: { info_kind?: string; info_data?: { remote?: string } } }[]).find((l) => l.linkinfo?.info_kind === 'vxlan');
  const remote = device?.linkinfo?.info_data?.remote ?? '';
  const hit = dropIn(w, 'a', { reason: 'IP_OUTNOROUTES', symbol: 'vxlan_xmit_one', device: device?.ifname ?? '', packet: packet('10.77.0.1', '10.77.0.2') });
  const f = found(judged(noRoute, w, hit, [listing(w, 'a', 'route', '[]')]));
  assert.ok(f.culprit.text.startsWith(`no route to ${remote} in`));
  assert.match(f.explanation, /vxlan tunnel/);
  innocent(judged(noRoute, w, hit)); // the route is there now
  // the route to the far end leads into the tunnel
  const into = listing(w, 'a', 'route', `[{"type":"unicast","dst":"${remote}","dev":"${device?.ifname}","table":"main","scope":"link","flags":[]},{"type":"unicast","dst":"${remote.replace(/\d+$/, '0')}/24","dev":"eth0","table":"main","scope":"link","flags":[]}]`);
  const loop = found(judged(noRoute, w, hit, [into]));
  assert.match(loop.culprit.text, /^circular route/);
  assert.match(loop.explanation, /routed into the tunnel itself/);
  assert.equal(command(loop), `ip -n net-a route del ${remote} dev ${device?.ifname}`);
});

test('a route that is passed by for want of carrier is a matter of the link', () => {
  const route = (flags: string) => listing(two, 'a', 'route', `[{"type":"unicast","dst":"10.5.0.0/24","dev":"eth0","table":"main","scope":"link","flags":[${flags}]}]`);
  const send = callIn(two, 'a', 'ENETUNREACH', '10.5.0.2:9000');
  innocent(judged(noRoute, two, send, [route('"dead","linkdown"')]));
  found(judged(noRoute, two, send, [listing(two, 'a', 'route', '[]')]));
  const noCarrier: Answered = [{ topic: 'link', netns: two.netns('a') }, String(two.answers.find(([q]) => q.topic === 'link' && q.netns === two.netns('a'))?.[1]).replaceAll('"LOWER_UP"', '"NO-CARRIER"').replaceAll('"operstate":"UP"', '"operstate":"LOWERLAYERDOWN"')];
  assert.match(found(judged(down, two, send, [route('"dead","linkdown"'), noCarrier])).explanation, /passed by for that long \(ignore_routes_with_linkdown is on\)/);
});

test('IPv6 that is off on the loopback device alone', () => {
  const off = (device: string, value: string): Answered[] => [[{ topic: 'sysctl', netns: two.netns('a'), argument: 'net/ipv6/conf/*/disable_ipv6' }, `net/ipv6/conf/all/disable_ipv6 = 0\nnet/ipv6/conf/lo/disable_ipv6 = ${value}\nnet/ipv6/conf/eth0/disable_ipv6 = ${device === 'eth0' ? 1 : 0}\n`], listing(two, 'a', 'route6' as 'route', '[]')];
  const send = callIn(two, 'a', 'ENETUNREACH', '[::1]:9000');
  assert.match(found(judged(ip6Disabled, two, send, off('lo', '1'))).culprit.text, /disable_ipv6 on lo/);
  innocent(judged(ip6Disabled, two, send, off('eth0', '0')));
  assert.ok(!found(judged(noRoute, two, send, [listing(two, 'a', 'route6' as 'route', '[]')])).remedies.some((r) => r.command?.includes('::1')), 'nobody else has ::1');
});

test('pings to everyone are ignored by default, and are no sign of a missing route', () => {
  const ping = (type: number, reason: string) => drop(reason, 'icmp_rcv', { ...packet('10.0.0.1', '10.0.0.255', { protocol: 1 }), transport: { kind: 'icmp', type, code: 0 } });
  const ignore = (value: string) => ({ answers: [sysctl('net/ipv4/icmp_echo_ignore_broadcasts', value)] });
  const f = foundSocket(judgedSocket(echoIgnored, ping(8, 'INVALID_PROTO'), ignore('1')));
  assert.equal(f.severity, 'info');
  assert.match(f.culprit.text, /icmp_echo_ignore_broadcasts = 1/);
  assert.equal(judgedSocket(echoIgnored, ping(8, 'INVALID_PROTO'), ignore('0')).outcome, 'ruled-out');
  assert.equal(judgedSocket(echoIgnored, ping(17, 'INVALID_PROTO'), ignore('1')).outcome, 'not-applicable');
  const six = (to: string, set: string) => judgedSocket(echoIgnored, drop('NOT_SPECIFIED', 'icmpv6_rcv', { ...packet('fe80::1', to, { protocol: 58 }), transport: { kind: 'icmp6', type: 128, code: 0 } }), { answers: ['all', 'multicast', 'anycast'].map((s) => sysctl(`net/ipv6/icmp/echo_ignore_${s}`, s === set ? '1' : '0')) });
  assert.match(foundSocket(six('ff02::1', 'multicast')).culprit.text, /echo_ignore_multicast = 1/);
  assert.equal(six('fe80::2', 'multicast').outcome, 'ruled-out');
  const onLink = listing(routed, 'b', 'route', '[{"type":"unicast","dst":"10.0.2.0/24","dev":"eth0","table":"main","scope":"link","flags":[]}]');
  const pings = clue(routed, 'b', 'snmp Icmp InEchos', 5), snmp = proc(routed, 'b', 'snmp', 'Ip: OutNoRoutes\nIp: 0\n');
  const answers = [...routed.answers, onLink, snmp];
  const counted: DropCountEvent = { kind: 'drop-count', time: pings.first, place: { address: 1n as never, name: 'icmp_rcv', offset: 1 }, reason: { number: 3, name: 'INVALID_PROTO' }, netns: pings.netns, ifindex: 2, protocol: 0x800, packets: 5, bytes: 500 };
  assert.equal(noRoute.judge(pings, fakeEvidence({ answers, before: [snmp], host: { netnsNames: routed.names } })).outcome, 'found');
  innocent(noRoute.judge(pings, fakeEvidence({ answers, before: [snmp], dropCounts: [counted], host: { netnsNames: routed.names } })));
});

test('a capture whose buffer is full loses copies; a netlink message is no capture', () => {
  const full = foundSocket(judgedSocket(localSocket, drop('PACKET_SOCK_ERROR', 'packet_rcv', udp('10.0.0.1', 40000, '10.0.0.2', 9000))));
  assert.ok(full.severity === 'info' && /Its buffer was full.*went its way/.test(full.explanation), full.explanation);
  assert.doesNotMatch(foundSocket(judgedSocket(localSocket, drop('NOT_SPECIFIED', 'netlink_broadcast_filtered', udp('10.0.0.1', 40000, '10.0.0.2', 9000)))).explanation, /buffer was full/);
});
