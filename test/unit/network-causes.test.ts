import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as isolated } from '../../src/causes/bridge/port-isolated.ts';
import { cause as stp } from '../../src/causes/bridge/stp-blocked.ts';
import { cause as floodOff } from '../../src/causes/bridge/flood-off.ts';
import { cause as fdbWrong } from '../../src/causes/bridge/fdb-wrong.ts';
import { cause as locked } from '../../src/causes/bridge/port-locked.ts';
import { cause as backlog } from '../../src/causes/cpu/backlog-full.ts';
import { cause as fragmentMemory } from '../../src/causes/ip/fragment-memory.ts';
import { cause as fragmentTimeout } from '../../src/causes/ip/fragment-timeout.ts';
import { cause as headerError } from '../../src/causes/ip/header-error.ts';
import { cause as mtu } from '../../src/causes/ip/mtu-exceeded.ts';
import { cause as sourceRoute } from '../../src/causes/ip/source-route-refused.ts';
import { cause as ttl } from '../../src/causes/ip/ttl-exceeded.ts';
import { cause as ipv6Disabled } from '../../src/causes/ipv6/disabled.ts';
import { cause as hopLimit } from '../../src/causes/ipv6/hop-limit.ts';
import { cause as down } from '../../src/causes/link/down.ts';
import { cause as otherHost } from '../../src/causes/link/other-host.ts';
import { cause as l2multicast } from '../../src/causes/link/unicast-in-l2-multicast.ts';
import { cause as queueFull } from '../../src/causes/neigh/queue-full.ts';
import { cause as tableOverflow } from '../../src/causes/neigh/table-overflow.ts';
import { cause as socketClosed } from '../../src/causes/normal/socket-closed.ts';
import { cause as unresolved } from '../../src/causes/neigh/unresolved.ts';
import { cause as groupNoise } from '../../src/causes/normal/multicast-unwanted.ts';
import { cause as flap } from '../../src/causes/normal/link-flap.ts';
import { cause as teardown } from '../../src/causes/normal/tcp-teardown.ts';
import { cause as pingNoise } from '../../src/causes/normal/icmp-unclaimed.ts';
import { cause as closedNoise } from '../../src/causes/normal/socket-closed.ts';
import { cause as localNoise } from '../../src/causes/normal/local-socket.ts';
import { cause as unhandled } from '../../src/causes/proto/unhandled.ts';
import { cause as overlimit } from '../../src/causes/qdisc/overlimit.ts';
import { cause as tailDrop } from '../../src/causes/qdisc/tail-drop.ts';
import { cause as blackhole } from '../../src/causes/route/blackhole.ts';
import { cause as forwarding } from '../../src/causes/route/forwarding-disabled.ts';
import { cause as martianDestination } from '../../src/causes/route/martian-destination.ts';
import { cause as martianSource } from '../../src/causes/route/martian-source.ts';
import { cause as noRoute } from '../../src/causes/route/no-route.ts';
import { cause as prohibit } from '../../src/causes/route/prohibit.ts';
import { cause as rpFilter } from '../../src/causes/route/rp-filter.ts';
import { cause as unreachable } from '../../src/causes/route/unreachable.ts';
import { cause as filterDrop } from '../../src/causes/tc/filter-drop.ts';
import { cause as policer } from '../../src/causes/tc/policer-drop.ts';
import { cause as ringFull } from '../../src/causes/tun/ring-full.ts';
import { cause as vxlanHeader } from '../../src/causes/tunnel/vxlan-invalid-header.ts';
import { cause as vxlanVni } from '../../src/causes/tunnel/vxlan-unknown-vni.ts';
import { cause as udpChecksum } from '../../src/causes/udp/bad-checksum.ts';
import { cause as noState } from '../../src/causes/xfrm/no-state.ts';
import { cause as policyBlock } from '../../src/causes/xfrm/policy-block.ts';
import type { Answered } from '../fake-evidence.ts';
import { fakeEvidence, HOME } from '../fake-evidence.ts';
import { address, mono } from '../../src/base/brand.ts';
import { callIn, dropIn, found, indexOf, innocent, judged, macOf, packet, world, type World } from './network-world.ts';

const two = world('healthy-two'), routed = world('healthy-routed'), bridged = world('healthy-bridged');

const command = (f: { remedies: readonly { command?: string }[] }): string => f.remedies.find((r) => r.command !== undefined)?.command ?? '';

test('strict rp_filter, and the route that disagrees', () => {
  const w = world('rp-filter-strict');
  const hit = { reason: 'IP_RPFILTER', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.9.9.9', '10.0.0.2') };
  const f = found(judged(rpFilter, w, dropIn(w, 'b', hit)));
  assert.match(f.culprit.text, /rp_filter = 1 on eth0/);
  assert.match(f.explanation, /10\.9\.9\.9 via 10\.0\.5\.1 dev eth1, not by eth0/);
  assert.equal(command(f), 'ip netns exec net-b sysctl -w net.ipv4.conf.eth0.rp_filter=2');
  // the same place without a reason of its own, as before 5.18
  assert.equal(judged(rpFilter, w, dropIn(w, 'b', { ...hit, reason: 'NOT_SPECIFIED' })).outcome, 'found');
  innocent(judged(rpFilter, two, dropIn(two, 'b', { ...hit, reason: 'NOT_SPECIFIED', packet: packet('10.0.0.1', '10.0.0.2') })));
});

test('a blackhole route is named and removed; without it the drop has another reason', () => {
  const w = world('route-blackhole-forward');
  const hit = { reason: 'NOT_SPECIFIED', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.9.9') };
  const f = found(judged(blackhole, w, dropIn(w, 'r', hit)));
  assert.match(f.culprit.text, /^blackhole 10\.0\.9\.0\/24/);
  assert.equal(command(f), 'ip -n net-r route del blackhole 10.0.9.0/24');
  innocent(judged(prohibit, w, dropIn(w, 'r', hit)));
  innocent(judged(blackhole, routed, dropIn(routed, 'r', { ...hit, packet: packet('10.0.1.2', '10.0.2.2') })));
});

test('a policy rule that prohibits one source', () => {
  const w = world('iprule-prohibit-forward');
  const f = found(judged(prohibit, w, dropIn(w, 'r', { reason: 'NOT_SPECIFIED', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.2.2') })));
  assert.equal(f.culprit.kind, 'rule');
  assert.match(f.culprit.text, /100: from 10\.0\.1\.0\/28 to 10\.0\.2\.0\/24 prohibit/);
  assert.equal(command(f), 'ip -n net-r rule del from 10.0.1.0/28 to 10.0.2.0/24 pref 100');
  innocent(judged(prohibit, w, dropIn(w, 'r', { reason: 'NOT_SPECIFIED', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.1.99', '10.0.2.2') })));
});

test('an unreachable route fails the call, with no packet', () => {
  const w = world('route6-unreachable-local');
  const f = found(judged(unreachable, w, callIn(w, 'a', 'EHOSTUNREACH', '[fd09::9]:9000')));
  assert.equal(command(f), 'ip -n net-a -6 route del unreachable fd09::/64');
  innocent(judged(unreachable, two, callIn(two, 'a', 'EHOSTUNREACH', '10.0.0.2:9000')));
});

test('no route: the neighbour that has the destination is the way', () => {
  const w = world('route-none-local');
  const f = found(judged(noRoute, w, callIn(w, 'a', 'ENETUNREACH', '10.0.9.9:9000')));
  assert.match(f.culprit.text, /no route to 10\.0\.9\.9/);
  assert.equal(command(f), 'ip -n net-a route add 10.0.9.9/32 via 10.0.0.2 dev eth0');
  innocent(judged(noRoute, w, callIn(w, 'a', 'ENETUNREACH', '10.0.0.2:9000')));
  innocent(judged(noRoute, w, callIn(w, 'a', 'EHOSTUNREACH', '10.0.9.9:9000')));
});

test('a default route that was there before the loss is put back first', () => {
  const w = world('route-none-local');
  const before: Answered[] = [[{ topic: 'route', netns: w.netns('a') }, '[{"type":"unicast","dst":"default","gateway":"10.0.0.254","dev":"eth0","table":"main","protocol":"boot","scope":"global","flags":[]}]']];
  assert.equal(command(found(judged(noRoute, w, callIn(w, 'a', 'ENETUNREACH', '10.0.9.9:9000'), [], before))), 'ip -n net-a route add default via 10.0.0.254 dev eth0');
});

test('forwarding off, on one interface or on all', () => {
  const hit = { reason: 'IP_INADDRERRORS', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.2.2') };
  const one = world('forwarding-disabled-iface');
  const f = found(judged(forwarding, one, dropIn(one, 'r', hit)));
  assert.match(f.culprit.text, /net\.ipv4\.conf\.eth0\.forwarding/);
  assert.equal(command(f), 'ip netns exec net-r sysctl -w net.ipv4.conf.eth0.forwarding=1');
  const all = world('forwarding-disabled');
  assert.equal(command(found(judged(forwarding, all, dropIn(all, 'r', hit)))), 'ip netns exec net-r sysctl -w net.ipv4.ip_forward=1');
  innocent(judged(forwarding, routed, dropIn(routed, 'r', hit)));
  innocent(judged(forwarding, routed, dropIn(routed, 'r', { ...hit, symbol: 'ip6_forward', packet: packet('fd01::2', 'fd02::2') })));
});

test('an address that this host has lost: it is given back, forwarding would lead nowhere', () => {
  const frame = { ethernet: { source: macOf(two, 'a', 'eth0'), destination: macOf(two, 'b', 'eth0'), type: 0x800 } };
  const hit = dropIn(two, 'b', { reason: 'IP_INADDRERRORS', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.50', frame) });
  const off: Answered[] = [[{ topic: 'sysctl', netns: two.netns('b'), argument: 'net/ipv4/conf/*/forwarding' }, 'net/ipv4/conf/all/forwarding = 0\nnet/ipv4/conf/eth0/forwarding = 0\n']];
  const onLink: Answered = [{ topic: 'route-get', netns: two.netns('b'), argument: '10.0.0.50' }, '[{"dst":"10.0.0.50","dev":"eth0","prefsrc":"10.0.0.2","flags":[],"cache":[]}]'];
  const had: Answered = [{ topic: 'address', netns: two.netns('b') }, '[{"ifindex":2,"ifname":"eth0","flags":[],"addr_info":[{"family":"inet","local":"10.0.0.50","prefixlen":24,"scope":"global"}]}]'];
  const f = found(judged(forwarding, two, hit, [...off, onLink]));
  assert.match(f.culprit.text, /10\.0\.0\.50 is not one of its addresses$/);
  assert.equal(command(f), 'ip -n net-b addr add 10.0.0.50/24 dev eth0');
  assert.match(found(judged(forwarding, two, hit, [...off, onLink], [had])).explanation, /had that address when the watch began and has lost it/);
  // the sender learned its entry here: no wrong entry; one that somebody set, or a neighbour that has the address, is another matter
  const entry = (state: string): Answered => [{ topic: 'neighbour', netns: two.netns('a') }, `[{"dst":"10.0.0.50","dev":"eth0","lladdr":"${macOf(two, 'b', 'eth0')}","state":["${state}"]}]`];
  innocent(judged(otherHost, two, hit, [entry('REACHABLE')]));
  found(judged(otherHost, two, hit, [entry('PERMANENT')]));
  const own = dropIn(two, 'b', { reason: 'IP_INADDRERRORS', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', frame) });
  innocent(judged(otherHost, two, own, [[{ topic: 'neighbour', netns: two.netns('a') }, `[{"dst":"10.0.0.2","dev":"eth0","lladdr":"${macOf(two, 'b', 'eth0')}","state":["PERMANENT"]}]`]]));
});

test('a frame to everyone is never forwarded: no matter that forwarding is off', () => {
  const all = world('forwarding-disabled');
  const hit = (destination: string) => found(judged(forwarding, all, dropIn(all, 'r', { reason: 'IP_INADDRERRORS', symbol: 'ip_error', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.9.255', { ethernet: { source: macOf(all, 'a', 'eth0'), destination, type: 0x800 } }) })));
  assert.equal(hit('ff:ff:ff:ff:ff:ff').severity, 'info');
  assert.equal(hit(macOf(all, 'r', 'eth0')).severity, 'warning');
  assert.notEqual(hit('ff:ff:ff:ff:ff:ff').identity, hit(macOf(all, 'r', 'eth0')).identity, 'the one must not change how the other is rated');
});

test('martians: an own source address, a loopback destination', () => {
  const own = dropIn(two, 'b', { reason: 'IP_LOCAL_SOURCE', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.2', '10.0.0.2', { ethernet: { source: macOf(two, 'a', 'eth0'), destination: macOf(two, 'b', 'eth0'), type: 0x800 } }) });
  const f = found(judged(martianSource, two, own));
  assert.match(f.explanation, /10\.0\.0\.2 is an address of network namespace net-b itself/);
  assert.match(f.culprit.text, /eth0 in network namespace net-a/);
  assert.equal(command(f), 'ip netns exec net-b sysctl -w net.ipv4.conf.eth0.accept_local=1');
  innocent(judged(martianSource, two, dropIn(two, 'b', { reason: 'NOT_SPECIFIED', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') })));
  const loop = { reason: 'IP_LOCALNET', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '127.0.0.1') };
  assert.match(found(judged(martianDestination, two, dropIn(two, 'b', loop))).culprit.text, /route_localnet = 0 on eth0/);
  innocent(judged(martianSource, two, dropIn(two, 'b', loop)));
  innocent(judged(martianDestination, two, dropIn(two, 'b', { ...loop, reason: 'NOT_SPECIFIED', packet: packet('10.0.0.1', '10.0.0.2') })));
});

test('TTL and hop limit: the setting of the sender in another namespace', () => {
  const low = world('ttl-default-one');
  const hit = { reason: 'IP_INHDR', symbol: 'ip_forward', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.2.2', { ttl: 1 }) };
  assert.equal(command(found(judged(ttl, low, dropIn(low, 'r', hit)))), 'ip netns exec net-a sysctl -w net.ipv4.ip_default_ttl=64');
  const f = found(judged(ttl, routed, dropIn(routed, 'r', hit)));
  assert.equal(f.culprit.kind, 'peer'); // the default is 64: the program itself
  innocent(judged(ttl, low, dropIn(low, 'r', { ...hit, packet: packet('10.0.1.2', '10.0.2.2', { ttl: 64 }) })));
  assert.equal(found(judged(ttl, low, callIn(low, 'a', 'EHOSTUNREACH', '10.0.2.2:9000'))).identity, `ttl|${low.netns('a')}|ip_default_ttl`);
  innocent(judged(ttl, routed, callIn(routed, 'a', 'EHOSTUNREACH', '10.0.2.2:9000')));
  const six = world('hop-limit-one');
  assert.match(command(found(judged(hopLimit, six, dropIn(six, 'r', { ...hit, symbol: 'ip6_forward', packet: packet('fd01::2', 'fd02::2', { ttl: 1 }) })))), /net\.ipv6\.conf\.eth0\.hop_limit=64$/);
});

test('an MTU is raised at both ends of the link', () => {
  const w = world('pmtu-udp-df');
  const hit = { reason: 'PKT_TOO_BIG', symbol: 'ip_forward', device: 'eth0', from: 'eth0', length: 1428, packet: packet('10.0.1.2', '10.0.3.2', { length: 1428 }) };
  const f = found(judged(mtu, w, dropIn(w, 'r', hit)));
  assert.match(f.culprit.text, /eth1 .*mtu 1280/);
  assert.equal(command(f), 'ip -n net-r link set eth1 mtu 1500 && ip -n net-q link set eth0 mtu 1500');
  innocent(judged(mtu, w, dropIn(w, 'r', { ...hit, packet: packet('10.0.1.2', '10.0.3.2', { length: 1000 }) })));
  innocent(judged(mtu, two, dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol: '__dev_forward_skb2', device: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { length: 1400 }) })));
  for (const symbol of ['br_dev_queue_push_xmit', 'br_nf_dev_queue_xmit']) {
    const port = (length: number) => dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol, device: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { length }) });
    assert.match(found(judged(mtu, two, port(1700))).culprit.text, /eth0 .*mtu 1500, packets of 1700/);
    innocent(judged(mtu, two, port(1400)));
  }
  innocent(judged(mtu, two, callIn(two, 'a', 'EMSGSIZE', '10.0.0.2:9000', 70000)));
});

test('a source-routed packet, and both sysctls that count', () => {
  const w = world('ip-source-route');
  const hit = { reason: 'NOT_SPECIFIED', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.0.1.2', '10.0.1.1', { options: [131] }) };
  assert.match(command(found(judged(sourceRoute, w, dropIn(w, 'r', hit)))), /net\.ipv4\.conf\.all\.accept_source_route=1/);
  innocent(judged(sourceRoute, w, dropIn(w, 'r', { ...hit, packet: packet('10.0.1.2', '10.0.1.1') })));
});

test('fragments: a time that is too short, a memory that is too small', () => {
  const w = world('frag-timeout');
  const hit = { reason: 'FRAG_REASM_TIMEOUT', symbol: 'ip_expire', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') };
  assert.equal(command(found(judged(fragmentTimeout, w, dropIn(w, 'b', hit)))), 'ip netns exec net-b sysctl -w net.ipv4.ipfrag_time=30');
  assert.equal(found(judged(fragmentTimeout, two, dropIn(two, 'b', hit))).culprit.kind, 'peer'); // 30 s: the others were lost
  const full = { ...hit, reason: 'NOT_SPECIFIED', symbol: 'ip_defrag' };
  const stat: Answered = [{ topic: 'proc', netns: two.netns('b'), argument: 'net/sockstat' }, 'sockets: used 5\nFRAG: inuse 1 memory 2504\n'];
  innocent(judged(fragmentMemory, two, dropIn(two, 'b', full), [stat]));
  const small: Answered = [{ topic: 'sysctl', netns: two.netns('b'), argument: 'net/ipv4/ipfrag_high_thresh' }, '2000'];
  assert.match(command(found(judged(fragmentMemory, two, dropIn(two, 'b', full), [stat, small]))), /ipfrag_high_thresh=4194304/);
});

test('a broken header and a broken checksum, and the rule that writes over them', () => {
  const w = world('ip-header-error');
  const hit = { reason: 'IP_INHDR', symbol: 'ip_rcv_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { ethernet: { source: macOf(w, 'a', 'eth0'), destination: macOf(w, 'b', 'eth0'), type: 0x800 } }) };
  const f = found(judged(headerError, w, dropIn(w, 'b', hit)));
  assert.match(f.culprit.text, /netdev rewrite/);
  assert.match(command(f), /^ip netns exec net-b nft delete rule netdev rewrite early handle \d+$/);
  const u = world('udp-bad-checksum');
  assert.match(found(judged(udpChecksum, u, dropIn(u, 'b', { ...hit, reason: 'UDP_CSUM', symbol: '__udp4_lib_rcv', packet: packet('10.0.0.1', '10.0.0.2') }))).culprit.text, /munge/);
  // without such a rule the sender is to blame
  assert.equal(found(judged(udpChecksum, two, dropIn(two, 'b', { ...hit, reason: 'UDP_CSUM', symbol: '__udp4_lib_rcv', packet: packet('10.0.0.1', '10.0.0.2') }))).culprit.kind, 'peer');
  innocent(judged(udpChecksum, two, dropIn(two, 'b', { ...hit, reason: 'NOT_SPECIFIED', symbol: '__udp4_lib_rcv' })));
});

test('a neighbour that nobody is, one that is mute, and one that was only slow', () => {
  const dead = world('neigh-dead-host');
  const hit = { reason: 'NEIGH_FAILED', symbol: 'neigh_invalidate', device: 'eth0', packet: packet('10.0.0.1', '10.0.0.77') };
  const f = found(judged(unresolved, dead, dropIn(dead, 'a', hit)));
  assert.match(f.culprit.text, /10\.0\.0\.77 on eth0/);
  assert.equal(command(f), 'ip -n net-b addr add 10.0.0.77/24 dev eth0 && ip -n net-a neigh flush dev eth0 to 10.0.0.77');
  assert.equal(found(judged(unresolved, dead, callIn(dead, 'a', 'EHOSTUNREACH', '10.0.0.77:9000'))).identity, f.identity);
  const mute = world('neigh-arp-ignore');
  const g = found(judged(unresolved, mute, dropIn(mute, 'a', { ...hit, packet: packet('10.0.0.1', '10.0.0.2') })));
  assert.match(g.culprit.text, /arp_ignore = 8 in network namespace net-b, so 10\.0\.0\.2/);
  assert.match(command(g), /^ip netns exec net-b sysctl -w net\.ipv4\.conf\.eth0\.arp_ignore=0 && ip -n net-a neigh flush/);
  assert.equal(found(judged(unresolved, two, dropIn(two, 'a', { ...hit, packet: packet('10.0.0.1', '10.0.0.2') }))).severity, 'info');
  innocent(judged(unresolved, two, callIn(two, 'a', 'EHOSTUNREACH', '10.0.0.2:9000')));
});

test('IPv6 has no reason for an unresolved neighbour: the place tells', () => {
  const f = found(judged(unresolved, two, dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol: 'neigh_invalidate', device: 'eth0', packet: packet('fd00::1', 'fd00::77') })));
  // the first is reported, those that waited behind it go with the queue
  const behind = dropIn(two, 'a', { reason: 'QUEUE_PURGE', symbol: 'neigh_invalidate', device: 'eth0', packet: packet('fd00::1', 'fd00::77') });
  assert.equal(found(judged(unresolved, two, behind)).identity, f.identity);
  innocent(judged(socketClosed, two, behind));
  assert.match(command(f), /addr add fd00::77\/64 dev eth0 nodad/);
});

test('the queue behind a neighbour, and the table of neighbours', () => {
  const w = world('neigh-queue-full');
  const hit = { reason: 'NEIGH_QUEUEFULL', symbol: '__neigh_event_send', device: 'eth0', packet: packet('10.0.1.2', '10.0.2.2') };
  const f = found(judged(queueFull, w, dropIn(w, 'a', hit)));
  assert.match(f.culprit.text, /unres_qlen_bytes = 2000/);
  assert.match(command(f), /unres_qlen_bytes=212992$/);
  innocent(judged(queueFull, w, dropIn(w, 'a', { ...hit, reason: 'NEIGH_FAILED' })));
  const limits: Answered[] = [[{ topic: 'sysctl', netns: HOME, argument: 'net/ipv4/neigh/default/gc_thresh3' }, '1024'], [{ topic: 'sysctl', netns: HOME, argument: 'net/ipv4/neigh/default/gc_thresh2' }, '512']];
  assert.equal(command(found(judged(tableOverflow, two, dropIn(two, 'a', { ...hit, reason: 'NEIGH_CREATEFAIL', symbol: 'ip_finish_output2' }), limits))), 'sysctl -w net.ipv4.neigh.default.gc_thresh2=4096 net.ipv4.neigh.default.gc_thresh3=8192');
  innocent(judged(tableOverflow, two, dropIn(two, 'a', { ...hit, reason: 'NOT_SPECIFIED', symbol: 'ip_finish_output2' }), limits));
});

test('a device without carrier: the end that is down is in another namespace, or a program is missing', () => {
  const w = world('veth-peer-down');
  const hit = { reason: 'QDISC_DROP', symbol: '__dev_queue_xmit', device: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') };
  const f = found(judged(down, w, dropIn(w, 'a', hit)));
  assert.match(command(f), /^ip -n net-b link set eth0 up/);
  const tun = world('tun-no-reader');
  assert.match(found(judged(down, tun, dropIn(tun, 'a', { ...hit, device: 'tun7', packet: packet('10.88.0.2', '10.88.0.1') }))).culprit.text, /tun7.*without a program/);
  innocent(judged(down, two, dropIn(two, 'a', hit)));
  innocent(judged(overlimit, w, dropIn(w, 'a', hit)));
  innocent(judged(tailDrop, w, dropIn(w, 'a', hit)));
});

test('a frame for another MAC: the stale entry at the sender, or mere flooding', () => {
  const w = world('neigh-wrong-static');
  const frame = { source: macOf(w, 'a', 'eth0'), destination: '02:00:00:00:00:99', type: 0x800 };
  const f = found(judged(otherHost, w, dropIn(w, 'b', { reason: 'OTHERHOST', symbol: 'ip_rcv_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { ethernet: frame }) })));
  assert.match(f.culprit.text, /02:00:00:00:00:99/);
  assert.equal(command(f), 'ip -n net-a neigh del 10.0.0.2 dev eth0');
  assert.equal(found(judged(otherHost, two, dropIn(two, 'b', { reason: 'OTHERHOST', symbol: 'ip_rcv_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.50', { ethernet: frame }) }))).severity, 'info');
});

test('unicast in a broadcast frame', () => {
  const on: Answered = [{ topic: 'sysctl', netns: two.netns('b'), argument: 'net/ipv4/conf/*/drop_unicast_in_l2_multicast' }, 'net/ipv4/conf/all/drop_unicast_in_l2_multicast = 1\nnet/ipv4/conf/eth0/drop_unicast_in_l2_multicast = 0\n'];
  const hit = { symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { ethernet: { source: macOf(two, 'a', 'eth0'), destination: 'ff:ff:ff:ff:ff:ff', type: 0x800 } }) };
  assert.equal(command(found(judged(l2multicast, two, dropIn(two, 'b', { ...hit, reason: 'UNICAST_IN_L2_MULTICAST' }), [on]))), 'ip netns exec net-b sysctl -w net.ipv4.conf.all.drop_unicast_in_l2_multicast=0');
  innocent(judged(l2multicast, two, dropIn(two, 'b', { ...hit, reason: 'NOT_SPECIFIED' }), [on]));
});

/** A frame from host a to host b that the bridge in s let go of. */
const frameIn = (w: World, reason: string, symbol: string) => dropIn(w, 's', { reason, symbol, device: 'port-a', from: 'port-a', packet: packet('10.0.0.1', '10.0.0.2', { ethernet: { source: macOf(w, 'a', 'eth0'), destination: macOf(w, 'b', 'eth0'), type: 0x800 } }) });

test('bridge ports: isolated, not forwarding, or innocent', () => {
  const i = world('bridge-port-isolated');
  assert.equal(command(found(judged(isolated, i, frameIn(i, 'NOT_SPECIFIED', 'br_handle_frame_finish')))), 'bridge -n net-s link set dev port-b isolated off');
  innocent(judged(stp, i, frameIn(i, 'NOT_SPECIFIED', 'br_handle_frame_finish')));
  const s = world('bridge-stp-blocking');
  const f = found(judged(stp, s, frameIn(s, 'BRIDGE_INGRESS_STP_STATE', 'br_handle_frame')));
  assert.match(f.culprit.text, /port-a: state listening/);
  assert.equal(command(f), 'bridge -n net-s link set dev port-a state 3');
  // before the reason existed
  assert.equal(judged(stp, s, frameIn(s, 'NOT_SPECIFIED', 'br_handle_frame')).outcome, 'found');
  for (const cause of [isolated, stp, floodOff, fdbWrong, locked]) innocent(judged(cause, bridged, frameIn(bridged, 'NOT_SPECIFIED', 'br_handle_frame_finish')));
});

test('bridge ports: locked, flood off, and an FDB entry on the wrong port, by one field of a healthy bridge', () => {
  const ns = bridged.netns('s');
  const change = (topic: 'bridge-link' | 'bridge-fdb', edit: (rows: Record<string, unknown>[]) => Record<string, unknown>[]): Answered => {
    const body = bridged.answers.find(([q]) => q.topic === topic && q.netns === ns)?.[1];
    return [{ topic, netns: ns }, JSON.stringify(edit(JSON.parse(String(body)) as Record<string, unknown>[]))];
  };
  const a = macOf(bridged, 'a', 'eth0'), b = macOf(bridged, 'b', 'eth0');
  const lock = [change('bridge-link', (rows) => rows.map((r) => (r['ifname'] === 'port-a' ? { ...r, locked: true } : r))), change('bridge-fdb', (rows) => rows.filter((r) => r['mac'] !== a))];
  assert.equal(command(found(judged(locked, bridged, frameIn(bridged, 'NOT_SPECIFIED', 'br_handle_frame_finish'), lock))), `bridge -n net-s fdb replace ${a} dev port-a master static`);
  innocent(judged(locked, bridged, frameIn(bridged, 'NOT_SPECIFIED', 'br_handle_frame_finish'), lock.slice(0, 1))); // locked, but admitted
  const flood = [change('bridge-link', (rows) => rows.map((r) => (r['ifname'] === 'port-b' ? { ...r, flood: false } : r))), change('bridge-fdb', (rows) => rows.filter((r) => r['mac'] !== b))];
  assert.equal(command(found(judged(floodOff, bridged, frameIn(bridged, 'NO_TX_TARGET', 'br_flood'), flood))), 'bridge -n net-s link set dev port-b flood on');
  const wrong = [change('bridge-fdb', (rows) => rows.map((r) => (r['mac'] === b ? { ...r, ifname: 'port-a', state: 'static' } : r)))];
  assert.equal(command(found(judged(fdbWrong, bridged, frameIn(bridged, 'NOT_SPECIFIED', 'br_handle_frame_finish'), wrong))), `bridge -n net-s fdb del ${b} dev port-a master`);
  // learned where the frames come from, and the owner is nowhere to be seen: both are behind that port
  const same = [change('bridge-fdb', (rows) => rows.map((r) => (r['mac'] === b ? { ...r, mac: '02:00:00:00:00:99', ifname: 'port-a', state: '' } : r)))];
  const hit = dropIn(bridged, 's', { reason: 'NOT_SPECIFIED', symbol: 'br_handle_frame_finish', device: 'port-a', from: 'port-a', packet: packet('10.0.0.1', '10.0.0.9', { ethernet: { source: a, destination: '02:00:00:00:00:99', type: 0x800 } }) });
  const back = found(judged(fdbWrong, bridged, hit, same));
  assert.match(back.culprit.text, /hairpin off/);
  assert.equal(command(back), 'bridge -n net-s link set dev port-a hairpin on');
  innocent(judged(fdbWrong, bridged, hit, [...same, change('bridge-link', (rows) => rows.map((r) => ({ ...r, hairpin: true })))]));
});

test('a bridge whose spanning tree holds a port back; a port that takes no broadcasts', () => {
  const s = world('bridge-stp-blocking');
  const running: Answered[] = s.answers.filter(([q]) => q.topic === 'link' && q.netns === s.netns('s')).map(([q, body]) => [q, String(body).replace(/"stp_state": ?0/g, '"stp_state":1')]);
  assert.match(String(running[0]?.[1]), /"stp_state":1/);
  assert.equal(command(found(judged(stp, s, frameIn(s, 'BRIDGE_INGRESS_STP_STATE', 'br_handle_frame'), running))), 'ip -n net-s link set dev br0 type bridge stp_state 0 && bridge -n net-s link set dev port-a state 3');
  const down: Answered[] = s.answers.filter(([q]) => q.topic === 'link' && q.netns === s.netns('s')).map(([q, body]) => [q, JSON.stringify((JSON.parse(String(body)) as { ifname: string; flags: string[] }[]).map((l) => (l.ifname === 'br0' ? { ...l, flags: ['BROADCAST', 'MULTICAST'] } : l)))]);
  assert.equal(command(found(judged(stp, s, frameIn(s, 'BRIDGE_INGRESS_STP_STATE', 'br_handle_frame'), down))), 'ip -n net-s link set dev br0 up', 'a bridge that is down disables its ports');
  const deaf = (port: string): Answered[] => bridged.answers.filter(([q]) => q.topic === 'bridge-link' && q.netns === bridged.netns('s')).map(([q, body]) => [q, JSON.stringify((JSON.parse(String(body)) as Record<string, unknown>[]).map((p) => (p['ifname'] === port ? { ...p, bcast_flood: false } : p)))]);
  const silent = (to: string) => dropIn(bridged, 'a', { reason: 'NEIGH_FAILED', symbol: 'neigh_invalidate', device: 'eth0', packet: packet('10.0.0.1', to) });
  const f = found(judged(floodOff, bridged, silent('10.0.0.2'), deaf('port-b')));
  assert.match(command(f), /^bridge -n net-s link set dev port-b bcast_flood on && /);
  for (const other of [deaf('port-a'), []]) innocent(judged(floodOff, bridged, silent('10.0.0.2'), other));
});

test('a plain queue under a tbf: the rate above it is raised where more comes than it lets out', () => {
  const fifo = world('qdisc-pfifo-enobufs');
  const hit = dropIn(fifo, 'a', { reason: 'QDISC_DROP', symbol: '__dev_queue_xmit', device: 'eth0', length: 1042, packet: packet('10.0.0.1', '10.0.0.2', { length: 1028 }) });
  const judgedWith = (packets: number) => command(found(overlimit.judge(hit, fakeEvidence({
    answers: fifo.answers, host: { netnsNames: fifo.names },
    dropCounts: [{ kind: 'drop-count', time: mono(hit.first + 2_000_000_000n), place: hit.drop.place, reason: hit.drop.reason, netns: hit.netns, ifindex: hit.drop.ifindex, protocol: 0x800, packets, bytes: packets * 1042 }],
  }))));
  assert.match(judgedWith(1000), /^tc -n net-a qdisc change dev eth0 root handle 1: tbf rate \S+ burst \d+ limit \d+ && tc -n net-a qdisc replace dev eth0 parent 1:1 handle 10: pfifo limit 1000$/);
  assert.match(judgedWith(1), /^tc -n net-a qdisc replace dev eth0 parent 1:1 handle 10: pfifo limit 1000$/);
});

test('a neighbour behind a tunnel: the prefix is right, and a rule for the carrier is the cause', () => {
  const w = world('vxlan-unknown-vni');
  const devices = JSON.parse(String(w.answers.find(([q]) => q.topic === 'link' && q.netns === w.netns('a'))?.[1])) as { ifname: string; linkinfo?: { info_kind?: string } }[];
  const device = devices.find((l) => l.linkinfo?.info_kind === 'vxlan')?.ifname ?? '';
  const rows = JSON.parse(String(w.answers.find(([q]) => q.topic === 'address' && q.netns === w.netns('b'))?.[1])) as { ifname: string; addr_info: { family: string; local: string }[] }[];
  const far = rows.find((r) => r.ifname.startsWith('vx'))?.addr_info.find((i) => i.family === 'inet')?.local ?? '';
  const near = far.replace(/\d+$/, '1');
  const silent = dropIn(w, 'a', { reason: 'NEIGH_FAILED', symbol: 'neigh_invalidate', device, packet: packet(near, far) });
  const f = found(judged(unresolved, w, silent));
  assert.match(f.explanation, /at the other end of the tunnel/);
  assert.ok(f.culprit.kind === 'tunnel' && !f.remedies.some((r) => / route (add|replace) /.test(r.command ?? '')), JSON.stringify(f.remedies));
  const ruled = (dport: number) => found(unresolved.judge(silent, fakeEvidence({
    host: { netnsNames: w.names },
    answers: [...w.answers, [{ topic: 'iptables', netns: silent.netns }, `*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -m udp --dport ${dport} -j DROP\nCOMMIT\n`], ...(['iptables-legacy', 'ip6tables', 'ip6tables-legacy'] as const).map((topic): Answered => [{ topic, netns: silent.netns }, ''])],
    dropCounts: [{ kind: 'drop-count', time: mono(9_000_000_000n), place: { address: address(0xffffffff81000100n), name: 'nft_do_chain', offset: 1 }, reason: { number: 12, name: 'NETFILTER_DROP' }, netns: silent.netns, ifindex: 0, protocol: 0x0800, packets: 3, bytes: 84 }],
  })));
  assert.equal(ruled(4789).severity, 'info', 'the rule is an incident of its own');
  assert.equal(ruled(53).severity, 'warning');
});

test('a neighbour that is silent because netfilter drops ARP here is a consequence; other drops here are innocent of it', () => {
  const w = world('neigh-dead-host');
  const silent = dropIn(w, 'a', { reason: 'NEIGH_FAILED', symbol: 'neigh_invalidate', device: 'eth0', packet: packet('10.0.0.1', '10.0.0.77') });
  const judgedWith = (protocol: number) => found(unresolved.judge(silent, fakeEvidence({
    answers: w.answers, host: { netnsNames: w.names },
    dropCounts: [{ kind: 'drop-count', time: mono(9_000_000_000n), place: { address: address(0xffffffff81000100n), name: 'nft_do_chain', offset: 1 }, reason: { number: 12, name: 'NETFILTER_DROP' }, netns: silent.netns, ifindex: 0, protocol, packets: 3, bytes: 84 }],
  })));
  // without a listing of the rules the counter still says it
  const arp = unresolved.judge(silent, fakeEvidence({
    answers: [...w.answers, [{ topic: 'nft', netns: silent.netns }, '{"nftables": []}'], [{ topic: 'arptables', netns: silent.netns }, '*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n-A OUTPUT -j DROP -d 10.0.0.77\n']], host: { netnsNames: w.names },
    dropCounts: [{ kind: 'drop-count', time: mono(9_000_000_000n), place: { address: address(0xffffffff81000100n), name: 'nft_do_chain', offset: 1 }, reason: { number: 12, name: 'NETFILTER_DROP' }, netns: silent.netns, ifindex: 0, protocol: 0x0806, packets: 3, bytes: 84 }],
  }));
  assert.equal(found(arp).severity, 'info');
  assert.match(found(arp).culprit.text, /OUTPUT.*-j DROP -d 10\.0\.0\.77/);
  assert.equal(judgedWith(0x0806).severity, 'info');
  assert.equal(judgedWith(0x0800).severity, 'warning');
});

test('queues: a burst below the packet, a limit, and which of two', () => {
  const burst = world('qdisc-tbf-burst');
  const hit = { reason: 'QDISC_DROP', symbol: '__dev_queue_xmit', device: 'eth0', length: 1242, packet: packet('10.0.0.1', '10.0.0.2', { length: 1228 }) };
  const f = found(judged(tailDrop, burst, dropIn(burst, 'a', hit)));
  assert.match(f.culprit.text, /tbf .*burst 600/);
  assert.match(command(f), /^tc -n net-a qdisc replace dev eth0 root handle \S+ tbf rate 10mbit burst 12500 limit 125000$/);
  const limit = world('qdisc-tbf-limit');
  assert.match(command(found(judged(tailDrop, limit, dropIn(limit, 'a', hit)))), /tbf rate \S+ burst \d+ limit \d+$/);
  const fifo = world('qdisc-pfifo-enobufs');
  assert.match(command(found(judged(overlimit, fifo, dropIn(fifo, 'a', { ...hit, length: 200 })))), /parent 1:1 handle 10: pfifo limit 1000/);
  innocent(judged(tailDrop, fifo, dropIn(fifo, 'a', { ...hit, length: 200 })));
  innocent(judged(overlimit, two, dropIn(two, 'a', hit)));
});

test('a filter at egress: its classic BPF is run on the packet', () => {
  const w = world('tc-bpf-egress');
  const hit = { reason: 'TC_EGRESS', symbol: '__dev_queue_xmit', device: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') };
  const f = found(judged(filterDrop, w, dropIn(w, 'a', hit)));
  assert.match(f.culprit.text, /dev eth0 egress pref 7/);
  assert.equal(f.confidence, 0.98);
  assert.equal(command(f), 'tc -n net-a filter del dev eth0 egress pref 7 handle 0x1 bpf');
  innocent(judged(filterDrop, w, dropIn(w, 'a', { ...hit, packet: packet('10.0.0.1', '10.0.0.2', { port: 53 }) }))); // the filter passes that port
  innocent(judged(filterDrop, two, dropIn(two, 'a', hit)));
  innocent(judged(policer, w, dropIn(w, 'a', hit)));
  // a program that redirects to a device that is not there; a filter that cannot redirect is not blamed
  const lost = dropIn(w, 'a', { ...hit, reason: 'NOT_SPECIFIED', symbol: 'skb_do_redirect' });
  const program: Answered = [{ topic: 'filter', netns: w.netns('a'), argument: 'eth0' }, '{"ingress":[],"egress":[{"protocol":"all","pref":9,"kind":"bpf","chain":0,"options":{"handle":"0x1","bpf_name":"lb","direct-action":true,"prog":{"id":77,"tag":"aa"}}}]}'];
  const nowhere = found(judged(filterDrop, w, lost, [program]));
  assert.match(nowhere.explanation, /redirects packets to a device that does not exist, or is down/);
  assert.match(nowhere.culprit.text, /dev eth0 egress pref 9.*program lb id 77/);
  innocent(judged(filterDrop, w, lost));
});

test('VXLAN: the VNI and the flags of the two ends', () => {
  const w = world('vxlan-unknown-vni');
  const outer = (key: number, flags: number) => packet('10.0.0.1', '10.0.0.2', { port: 4789, inner: { tunnel: 'vxlan', key, flags, packet: { defects: [] } } });
  const hit = { reason: 'VXLAN_VNI_NOT_FOUND', symbol: 'vxlan_rcv', device: 'eth0', from: 'eth0', packet: outer(5001, 8) };
  const f = found(judged(vxlanVni, w, dropIn(w, 'b', hit)));
  assert.match(f.culprit.text, /vx0 id 5010 .*VNI 5001/);
  assert.match(command(f), /link del vx0 && ip -n net-b link add vx0 address \S+ mtu 1450 type vxlan id 5001 remote 10\.0\.0\.1 local 10\.0\.0\.2 dstport 4789 dev eth0 && ip -n net-b addr add 10\.77\.0\.2\/24 dev vx0 && ip -n net-b link set vx0 up$/);
  assert.equal(judged(vxlanVni, w, dropIn(w, 'b', { ...hit, reason: 'NOT_SPECIFIED' })).outcome, 'found'); // before 6.12
  innocent(judged(vxlanVni, w, dropIn(w, 'b', { ...hit, reason: 'NOT_SPECIFIED', packet: outer(5010, 8) })));
  const g = world('vxlan-gbp-mismatch');
  assert.match(command(found(judged(vxlanHeader, g, dropIn(g, 'b', { ...hit, reason: 'VXLAN_INVALID_HDR', packet: outer(5001, 0x88) })))), / dev eth0 gbp && /);
});

test('a tun device whose program reads too slowly, or is stopped', () => {
  const w = world('tun-no-reader');
  const hit = { reason: 'FULL_RING', symbol: 'tun_net_xmit', device: 'tun7', packet: packet('10.88.0.2', '10.88.0.1') };
  const reader = (state: string): Answered[] => {
    const facts = { pid: 77, ppid: 1, comm: 'vpnd', cmdline: 'vpnd --dev tun7', state, uid: 0, startTicks: 1, capabilities: [], seccomp: 0, noNewPrivs: false };
    return [[{ topic: 'processes', netns: w.netns('a') }, JSON.stringify([facts])], [{ topic: 'process', argument: '77' }, JSON.stringify(facts)]];
  };
  assert.match(command(found(judged(ringFull, w, dropIn(w, 'a', hit), reader('S')))), /link set tun7 txqueuelen \d+/);
  assert.equal(command(found(judged(ringFull, w, dropIn(w, 'a', hit), reader('T')))), 'kill -CONT 77');
  innocent(judged(ringFull, w, dropIn(w, 'a', { ...hit, reason: 'TAP_FILTER' }), reader('S')));
});

test('IPsec policies: one that blocks, and one whose state is missing', () => {
  const out = world('xfrm-out-block');
  const f = found(judged(policyBlock, out, callIn(out, 'a', 'EPERM', '10.0.0.2:9000')));
  assert.equal(command(f), 'ip -n net-a xfrm policy del dir out src 10.0.0.1/32 dst 10.0.0.2/32 proto udp');
  innocent(judged(policyBlock, two, callIn(two, 'a', 'EPERM', '10.0.0.2:9000')));
  const inward = world('xfrm-in-block');
  const hit = { reason: 'XFRM_POLICY', symbol: 'udp_queue_rcv_one_skb', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') };
  assert.match(found(judged(policyBlock, inward, dropIn(inward, 'b', hit))).culprit.text, /dir in src 10\.0\.0\.1\/32/);
  const tmpl: Answered = [{ topic: 'xfrm-policy', netns: two.netns('a') }, 'src 10.0.0.1/32 dst 10.0.0.2/32 proto udp \n\tdir out priority 0 ptype main \n\ttmpl src 10.0.0.1 dst 10.0.0.2\n\t\tproto esp reqid 1 mode transport\n'];
  const lost = dropIn(two, 'a', { reason: 'NOT_SPECIFIED', symbol: 'dst_discard_out', packet: packet('10.0.0.1', '10.0.0.2') });
  assert.match(found(judged(noState, two, lost, [tmpl])).explanation, /no such state/);
  const state: Answered = [{ topic: 'xfrm-state', netns: two.netns('a') }, 'src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000100 reqid 1 mode transport\n\treplay-window 0 \n'];
  // what no policy matches is blocked by default; of another direction it is not
  const byDefault = (direction: string): Answered => [{ topic: 'xfrm-policy', netns: two.netns('a') }, `Default policies:\n in:  accept\n fwd: accept\n out: accept\n`.replace(`${direction}: accept`, `${direction}: block`)];
  const blocked = found(judged(policyBlock, two, callIn(two, 'a', 'EPERM', '10.0.0.2:9000'), [byDefault('out')]));
  assert.match(blocked.culprit.text, /default policy, direction out/);
  assert.equal(command(blocked), 'ip -n net-a xfrm policy setdefault out accept');
  innocent(judged(policyBlock, two, callIn(two, 'a', 'EPERM', '10.0.0.2:9000'), [byDefault('fwd')]));
  innocent(judged(noState, two, lost, [tmpl, state]));
  innocent(judged(noState, two, lost));
});

test('IPv6 switched off, on the receiver and at a sender', () => {
  const off = (short: string): Answered => [{ topic: 'sysctl', netns: two.netns(short), argument: 'net/ipv6/conf/*/disable_ipv6' }, 'net/ipv6/conf/all/disable_ipv6 = 0\nnet/ipv6/conf/default/disable_ipv6 = 0\nnet/ipv6/conf/eth0/disable_ipv6 = 1\nnet/ipv6/conf/lo/disable_ipv6 = 0\n'];
  const hit = dropIn(two, 'b', { reason: 'IPV6DISABLED', symbol: 'ip6_rcv_core', device: 'eth0', from: 'eth0', packet: packet('fd00::1', 'fd00::2') });
  assert.equal(command(found(judged(ipv6Disabled, two, hit, [off('b')]))), 'ip netns exec net-b sysctl -w net.ipv6.conf.eth0.disable_ipv6=0');
  innocent(judged(ipv6Disabled, two, hit));
  assert.equal(judged(ipv6Disabled, two, callIn(two, 'a', 'ENETUNREACH', '[fd77::1]:9000'), [off('a')]).outcome, 'found');
  innocent(judged(ipv6Disabled, two, callIn(two, 'a', 'ENETUNREACH', '[fd77::1]:9000')));
  const group = dropIn(two, 'a', { reason: 'IPV6DISABLED', symbol: 'ip6_rcv_core', device: 'eth0', from: 'eth0', packet: packet('fe80::1', 'ff02::2', { protocol: 58 }) });
  const noise = found(judged(ipv6Disabled, two, group, [off('a')]));
  assert.equal(noise.severity, 'info');
  assert.notEqual(noise.identity, found(judged(ipv6Disabled, two, callIn(two, 'a', 'ENETUNREACH', '[fd77::1]:9000'), [off('a')])).identity, 'group chatter does not hide failed calls');
});

test('the queue of a CPU', () => {
  const answers: Answered[] = [[{ topic: 'sysctl', netns: HOME, argument: 'net/core/netdev_max_backlog' }, '1000'], [{ topic: 'proc', netns: HOME, argument: 'net/softnet_stat' }, '0000a0 0000002a 00000000\n000001 00000000 00000000\n']];
  const hit = { symbol: 'enqueue_to_backlog', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2') };
  const f = found(judged(backlog, two, dropIn(two, 'b', { ...hit, reason: 'CPU_BACKLOG' }), answers));
  assert.match(f.explanation, /CPU 0 .*42/);
  assert.equal(command(f), 'sysctl -w net.core.netdev_max_backlog=10000');
  innocent(judged(backlog, two, dropIn(two, 'b', { ...hit, reason: 'NO_SOCKET' }), answers));
});

test('a protocol that nothing handles, and frames that nobody needs to', () => {
  const hit = { reason: 'IP_NOPROTO', symbol: 'ip_protocol_deliver_rcu', device: 'eth0', from: 'eth0', packet: packet('10.0.0.1', '10.0.0.2', { protocol: 47 }) };
  assert.match(found(judged(unhandled, two, dropIn(two, 'b', hit))).culprit.text, /GRE \(IP protocol 47\)/);
  const lldp = dropIn(two, 'b', { ...hit, reason: 'UNHANDLED_PROTO', symbol: '__netif_receive_skb_core', packet: { ethernet: { source: '02:00:00:00:00:01', destination: '01:80:c2:00:00:0e', type: 0x88cc }, defects: [] } });
  assert.equal(found(judged(unhandled, two, { ...lldp, drop: { ...lldp.drop, protocol: 0x88cc } })).severity, 'info');
});

test('what healthy traffic drops is information, what looks like it is not', () => {
  const info = (cause: typeof groupNoise, reason: string, symbol: string, p = packet('10.0.0.1', '10.0.0.2')): void => assert.equal(found(judged(cause, two, dropIn(two, 'b', { reason, symbol, device: 'eth0', from: 'eth0', packet: p }))).severity, 'info');
  const not = (cause: typeof groupNoise, reason: string, symbol: string, p = packet('10.0.0.1', '10.0.0.2')): void => innocent(judged(cause, two, dropIn(two, 'b', { reason, symbol, device: 'eth0', from: 'eth0', packet: p })));
  info(groupNoise, 'NOT_SPECIFIED', 'ip6_mc_input', packet('fe80::1', 'ff02::16', { protocol: 58 }));
  info(groupNoise, 'NOT_SPECIFIED', '__udp4_lib_rcv', packet('10.0.0.1', '224.0.0.251', { port: 5353 }));
  not(groupNoise, 'NO_SOCKET', '__udp4_lib_rcv');
  info(closedNoise, 'QUEUE_PURGE', 'inet_sock_destruct');
  not(closedNoise, 'NOT_SPECIFIED', 'tcp_v4_rcv');
  info(flap, 'IP_INNOROUTES', 'ip6_pkt_discard', packet('fe80::1', 'ff02::2', { protocol: 58 }));
  not(flap, 'IP_INNOROUTES', 'ip6_pkt_discard', packet('fd00::1', 'fd09::9'));
  info(pingNoise, 'NO_SOCKET', 'ping_rcv', { ...packet('10.0.0.1', '10.0.0.2', { protocol: 1 }), transport: { kind: 'icmp', type: 0, code: 0 } });
  not(pingNoise, 'NO_SOCKET', '__udp4_lib_rcv');
  info(localNoise, 'NOT_SPECIFIED', 'inet_rtm_getroute', { defects: [] });
  not(localNoise, 'NOT_SPECIFIED', 'ip_error');
  const segment = (flags: number, length: number) => ({ ...packet('10.0.0.1', '10.0.0.2', { protocol: 6, length }), transport: { kind: 'tcp' as const, sourcePort: 1, destinationPort: 2, flags, sequence: 1, acknowledgement: 1, window: 1, options: [] } });
  info(teardown, 'NOT_SPECIFIED', 'tcp_v4_rcv', segment(4, 40));
  info(teardown, 'NOT_SPECIFIED', 'tcp_rcv_state_process', segment(16, 52));
  not(teardown, 'NOT_SPECIFIED', 'tcp_v4_rcv', segment(24, 1052)); // data for a connection that is gone
  not(teardown, 'NOT_SPECIFIED', 'tcp_v4_rcv', segment(2, 60));
});

test('what the kernel sends on an idle interface without carrier is no loss, a packet for somebody is', () => {
  const icmp6 = (from: string, to: string, type: number) => ({ ...packet(from, to, { protocol: 58 }), transport: { kind: 'icmp6' as const, type, code: 0 } });
  const dark = world('veth-peer-down');
  const hit = (p: ReturnType<typeof packet>) => dropIn(dark, 'a', { reason: 'QDISC_DROP', symbol: '__dev_queue_xmit', device: 'eth0', packet: p });
  for (const own of [icmp6('fe80::1', 'ff02::2', 133), icmp6('fe80::1', 'ff02::16', 143), icmp6('::', 'ff02::1:ff00:1', 135), packet('10.0.0.1', '224.0.0.22', { protocol: 2 })]) {
    assert.equal(found(judged(flap, dark, hit(own))).severity, 'info');
    assert.equal(judged(down, dark, hit(own)).outcome, 'not-applicable');
  }
  for (const wanted of [icmp6('fd00::1', 'ff02::1:ff00:2', 135), packet('10.0.0.1', '10.0.0.2')]) {
    assert.equal(judged(flap, dark, hit(wanted)).outcome, 'not-applicable');
    assert.equal(judged(down, dark, hit(wanted)).outcome, 'found');
  }
});

test('an IPv6 address tried by a host without IPv6 is information, a lost route is not', () => {
  const w = world('route-none-local');
  const to = (destination: string, syscall: string, protocol: number) => {
    const s = callIn(w, 'a', 'ENETUNREACH', destination);
    return found(judged(noRoute, w, { ...s, call: { ...s.call, syscall, socket: { address: 2n as never, family: 10, protocol } } })).severity;
  };
  assert.equal(to('[2001:db8::8]:443', 'connect', 6), 'info');
  assert.equal(to('[fd09::9]:53', 'connect', 17), 'info');
  assert.equal(to('[fd09::9]:443', 'connect', 6), 'warning');
  assert.equal(to('[2001:db8::8]:443', 'sendto', 17), 'warning');
  assert.equal(to('10.0.9.9:443', 'connect', 6), 'warning');
});

test('a missing answer is no acquittal', () => {
  const empty: World = { ...two, answers: [] };
  const hit = dropIn(two, 'b', { reason: 'IP_RPFILTER', symbol: 'ip_rcv_finish_core', device: 'eth0', from: 'eth0', packet: packet('10.9.9.9', '10.0.0.2') });
  assert.equal(judged(rpFilter, empty, hit).outcome, 'cannot-tell');
  assert.equal(judged(noRoute, empty, callIn(two, 'a', 'ENETUNREACH', '10.0.9.9:1')).outcome, 'cannot-tell');
  assert.ok(indexOf(two, 'a', 'eth0') > 0);
});
