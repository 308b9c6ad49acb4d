import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { EvidenceRecord, ListingTopic } from '../../src/formats/evidence-record.ts';
import { decodeAddresses, decodeLinks, decodeRoutes, decodeRules } from '../../src/formats/ip-json.ts';

/* One host's text and JSON of the same moment (fixtures/analyze/sosreport-6.1), by iproute2 6.1. */
const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/analyze/sosreport-6.1/${name}`, import.meta.url), 'utf8');
const records = (text: string): readonly EvidenceRecord[] => recogniseEvidence('x', text).parts.flatMap((p) => p.records);
const listing = (text: string, topic: ListingTopic): string => {
  const found = records(text).find((r) => r.kind === 'listing' && r.topic === topic);
  return found?.kind === 'listing' ? found.text : '';
};

test('ip route, ip address as text say the same as their JSON', () => {
  const routes = fixture('sos_commands/networking/ip_route_show_table_all'), addresses = fixture('sos_commands/networking/ip_-d_address');
  assert.equal(recogniseEvidence('x', routes).unread, 0);
  assert.equal(recogniseEvidence('x', addresses).unread, 0);
  for (const [topic, family] of [['route', 4], ['route6', 6]] as const) {
    const fromText = decodeRoutes(listing(routes, topic), family).values, fromJson = decodeRoutes(listing(fixture('route.json'), topic), family).values;
    assert.ok(fromJson.length > 3);
    assert.deepEqual(fromText, fromJson);
  }
  assert.deepEqual(decodeAddresses(listing(addresses, 'address')).values.map((a) => ({ ...a, flags: [] })), decodeAddresses(fixture('addr.json')).values.map((a) => ({ ...a, flags: [] })));
  const links = (source: string) => decodeLinks(source).values.map(({ index, name, flags, mtu, operstate, type, address, qdisc, txQueueLength, peerIndex }) => ({ index, name, flags, mtu, operstate, type, address, qdisc, txQueueLength, peerIndex }));
  assert.deepEqual(links(listing(addresses, 'address')), links(fixture('addr.json')));
});

/* Lines by ip-route(8) and ip-rule(8). */
test('routes with next hops, types, gateways of the other family; rules with conditions', () => {
  const text = `default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.9 metric 100 onlink
default proto static metric 200
\tnexthop via 198.51.100.1 dev eth1 weight 1
\tnexthop via 198.51.100.2 dev eth2 weight 1 linkdown
203.0.113.0/24 via inet6 fe80::1 dev eth0 mtu 1400
unreachable 10.0.0.0/8 metric 4278198272
blackhole 172.16.0.0/12
192.0.2.0/24 dev eth0 table 100 proto kernel scope link src 192.0.2.9
local 192.0.2.9 dev eth0 table local proto kernel scope host src 192.0.2.9
`;
  assert.equal(recogniseEvidence('x', text).unread, 0);
  const routes = decodeRoutes(listing(text, 'route'), 4).values;
  assert.deepEqual(routes.map((r) => [r.type, r.destination, r.table, r.gateway, r.device, r.metric, r.nexthops.map((n) => n.gateway), r.mtu]), [
    ['unicast', 'default', 'main', '192.0.2.1', 'eth0', 100, [], undefined], ['unicast', 'default', 'main', undefined, undefined, 200, ['198.51.100.1', '198.51.100.2'], undefined],
    ['unreachable', '10.0.0.0/8', 'main', undefined, undefined, 4278198272, [], undefined], ['blackhole', '172.16.0.0/12', 'main', undefined, undefined, 0, [], undefined],
    ['unicast', '192.0.2.0/24', '100', undefined, 'eth0', 0, [], undefined], ['local', '192.0.2.9', 'local', undefined, 'eth0', 0, [], undefined],
  ]);
  const rules = '0:\tfrom all lookup local\n100:\tfrom 10.0.0.0/8 iif eth0 lookup 100\n200:\tnot from all fwmark 0xca6c/0xffff lookup 51820\n300:\tfrom all to 192.0.2.7 unreachable\n400:\tfrom all lookup main suppress_prefixlength 0\n32766:\tfrom all lookup main\n';
  assert.equal(recogniseEvidence('x', rules).unread, 0);
  assert.deepEqual(decodeRules(listing(rules, 'rule'), 4).values.map((r) => [r.priority, r.from, r.to, r.iif, r.mark, r.not, r.action, r.table, r.suppressPrefixLength]), [
    [0, undefined, undefined, undefined, undefined, false, 'lookup', 'local', undefined], [100, '10.0.0.0/8', undefined, 'eth0', undefined, false, 'lookup', '100', undefined], [200, undefined, undefined, undefined, 0xca6c, true, 'lookup', '51820', undefined],
    [300, undefined, '192.0.2.7/32', undefined, undefined, false, 'unreachable', undefined, undefined], [400, undefined, undefined, undefined, undefined, false, 'lookup', 'main', 0], [32766, undefined, undefined, undefined, undefined, false, 'lookup', 'main', undefined],
  ]);
});

test('a part of a listing answers nothing: what is not in it may be there all the same', () => {
  for (const text of ['default via 192.0.2.1 dev eth0 proto dhcp metric 100\n', '2: eth0: <BROADCAST,UP> mtu 1500 qdisc fq state UP qlen 1000\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    inet 192.0.2.9/24 scope global eth0\n', '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]}]\n', '[{"ifindex":2,"ifname":"eth0","flags":["UP"],"addr_info":[]}]\n']) {
    const kinds = records(text).map((r) => r.kind);
    assert.deepEqual(kinds, ['aside'], text);
    assert.equal(recogniseEvidence('x', text).unread, 0);
  }
  assert.deepEqual(records('10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE\n').map((r) => r.kind === 'aside' && r.format), ['ip neigh']);
});
