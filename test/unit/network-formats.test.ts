import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBridgePorts, decodeBridgeVlans, decodeFdb } from '../../src/formats/bridge-json.ts';
import { decodeAddresses, decodeLinks, decodeNeighbours, decodeRouteGet, decodeRoutes, decodeRules } from '../../src/formats/ip-json.ts';
import { decodeSysctl } from '../../src/formats/sysctl-text.ts';
import { decodeClasses, decodeFilters, decodeQdiscs } from '../../src/formats/tc-json.ts';
import { decodeXfrmPolicies, decodeXfrmStates } from '../../src/formats/xfrm-text.ts';
import { runClassic } from '../../src/evidence/network/classify.ts';
import { tbfLimit, tcRate, tcSize } from '../../src/evidence/network/queue.ts';
import { world } from './network-world.ts';

const text = (name: string, short: string, topic: string): string => {
  const w = world(name);
  return String(w.answers.find(([q]) => q.topic === topic && q.netns === w.netns(short))?.[1] ?? '');
};

test('links: flags, veth ends, VXLAN and tun parameters as iproute2 6.1 prints them', () => {
  const vx = decodeLinks(text('vxlan-gbp-mismatch', 'a', 'link')).values;
  const eth = vx.find((l) => l.name === 'eth0');
  assert.equal(eth?.kind, 'veth');
  assert.ok(eth?.up && eth.carrier && eth.peerNetns !== undefined && eth.peerIndex !== undefined && eth.stats !== undefined);
  assert.deepEqual([vx.find((l) => l.name === 'vx0')?.data['id'], vx.find((l) => l.name === 'vx0')?.data['gbp']], [5001, true]);
  const peer = decodeLinks(text('veth-peer-down', 'a', 'link')).values.find((l) => l.name === 'eth0');
  assert.ok(peer?.up === true && peer.carrier === false);
  const tun = decodeLinks(text('tun-no-reader', 'a', 'link')).values.find((l) => l.name === 'tun7');
  assert.deepEqual([tun?.kind, tun?.data['type'], tun?.carrier], ['tun', 'tun', false]);
});

test('addresses, routes and policy rules', () => {
  assert.ok(decodeAddresses(text('healthy-two', 'b', 'address')).values.some((a) => a.address === '10.0.0.2' && a.prefixLength === 24 && a.device === 'eth0'));
  const routes = decodeRoutes(text('route-blackhole-forward', 'r', 'route'), 4).values;
  assert.ok(routes.some((r) => r.type === 'blackhole' && r.destination === '10.0.9.0/24' && r.table === 'main'));
  assert.ok(routes.some((r) => r.type === 'local' && r.table === 'local' && r.destination === '10.0.1.1' && r.prefixLength === 32));
  const six = decodeRoutes(text('route6-unreachable-local', 'a', 'route6'), 6).values;
  assert.ok(six.some((r) => r.type === 'unreachable' && r.destination === 'fd09::/64' && r.metric === 1024));
  const rule = decodeRules(text('iprule-prohibit-forward', 'r', 'rule'), 4).values.find((r) => r.priority === 100);
  assert.deepEqual([rule?.action, rule?.from, rule?.to], ['prohibit', '10.0.1.0/28', '10.0.2.0/24']);
  assert.deepEqual(decodeRules('[{"priority":101,"src":"all","fwmark":"0x7","iif":"eth0","table":"77","protocol":"unspec"}]', 4).values[0], { family: 4, priority: 101, not: false, l3mdev: false, action: 'lookup', iif: 'eth0', mark: 7, table: '77' });
});

test('route get: an answer and refusals', () => {
  assert.deepEqual(decodeRouteGet('[{"dst":"10.8.9.9","gateway":"10.0.0.2","dev":"eth0","prefsrc":"10.0.0.1","flags":[],"uid":0,"cache":[]}]'), { kind: 'route', type: 'unicast', gateway: '10.0.0.2', device: 'eth0', source: '10.0.0.1' });
  assert.deepEqual(decodeRouteGet('{"error":"Network is unreachable","errno":"ENETUNREACH"}'), { kind: 'refused', errno: 'ENETUNREACH', text: 'Network is unreachable' });
  assert.equal(decodeRouteGet('{"error":"Odd"}')?.kind, 'refused');
  assert.equal(decodeRouteGet(''), undefined);
});

test('neighbours, bridge ports, FDB', () => {
  assert.ok(decodeNeighbours(text('neigh-wrong-static', 'a', 'neighbour')).values.some((n) => n.mac === '02:00:00:00:00:99' && n.states.includes('PERMANENT')));
  const ports = decodeBridgePorts(text('bridge-port-isolated', 's', 'bridge-link')).values;
  assert.deepEqual(ports.map((p) => [p.name, p.bridge, p.isolated, p.flood, p.state]), [['port-a', 'br0', true, true, 'forwarding'], ['port-b', 'br0', true, true, 'forwarding']]);
  assert.ok(decodeFdb(text('healthy-bridged', 's', 'bridge-fdb')).values.some((f) => f.bridge === 'br0' && f.state === '' && f.device === 'port-b'));
  assert.deepEqual(decodeBridgeVlans('[{"ifname":"p1","vlans":[{"vlan":1,"flags":["PVID","Egress Untagged"]},{"vlan":10,"vlanEnd":20}]}]').values, [{ device: 'p1', first: 1, last: 1, flags: ['PVID', 'Egress Untagged'] }, { device: 'p1', first: 10, last: 20, flags: [] }]);
  assert.equal(decodeBridgeVlans('[').status, 'ok'); // what bridge prints before the kernel refuses
});

test('qdiscs: tbf by limit or by latency, sizes and rates as tc writes them', () => {
  const burst = decodeQdiscs(text('qdisc-tbf-burst', 'a', 'qdisc')).values.find((q) => q.kind === 'tbf');
  assert.ok(burst !== undefined && burst.root && burst.drops > 0);
  assert.equal(tbfLimit(burst), 100000);
  assert.deepEqual([tcSize('600b/1'), tcSize('10Kb/8'), tcSize('1Mb'), tcSize('x')], [600, 10240, 1048576, undefined]);
  assert.deepEqual([tcRate('64Kbit'), tcRate('10mbit'), tcRate('8000bit'), tcRate('fast')], [64000, 10e6, 8000, undefined]);
});

test('classes are text, each device under its own heading', () => {
  const listing = `# dev port-a
class htb 1:10 parent 1:1 leaf 110: prio 0 quantum 1000 rate 64Kbit ceil 64Kbit linklayer ethernet burst 1600b/1 mpu 0b cburst 1600b/1 mpu 0b level 0 
 Sent 1246 bytes 15 pkt (dropped 7, overlimits 3 requeues 0) 
 backlog 0b 0p requeues 0
 lended: 15 borrowed: 0 giants: 0
 tokens: 2988281 ctokens: 2988281

class htb 1:1 root rate 10Mbit ceil 10Mbit linklayer ethernet burst 1600b/1 mpu 0b cburst 1600b/1 mpu 0b level 7 
 Sent 1246 bytes 15 pkt (dropped 0, overlimits 0 requeues 0) 
`;
  assert.deepEqual(decodeClasses(listing).values, [
    { kind: 'htb', id: '1:10', device: 'port-a', bytes: 1246, packets: 15, drops: 7, overlimits: 3, parent: '1:1', leaf: '110:', rate: '64kbit', ceil: '64kbit' },
    { kind: 'htb', id: '1:1', device: 'port-a', bytes: 1246, packets: 15, drops: 0, overlimits: 0, rate: '10mbit', ceil: '10mbit' },
  ]);
});

test('filters: heads left out, classic BPF and u32 kept, the plain listing understood', () => {
  const bpf = decodeFilters(text('tc-bpf-egress', 'a', 'filter')).values;
  assert.equal(bpf.length, 1);
  assert.deepEqual([bpf[0]?.direction, bpf[0]?.preference, bpf[0]?.handle, bpf[0]?.directAction, bpf[0]?.bytecode?.length], ['egress', 7, '0x1', true, 8]);
  const u32 = decodeFilters('{"ingress":[{"protocol":"ip","pref":9,"kind":"u32","chain":0},{"protocol":"ip","pref":9,"kind":"u32","chain":0,"options":{"fh":"800:","ht_divisor":1}},{"protocol":"ip","pref":9,"kind":"u32","chain":0,"options":{"fh":"800::800","order":2048,"key_ht":"800","bkt":"0","not_in_hw":true,"match":{"value":"a000005","mask":"ffffffff","offmask":"","off":16},"actions":[{"order":1,"kind":"mirred","mirred_action":"redirect","direction":"egress","to_dev":"lo","control_action":{"type":"stolen"},"index":1,"ref":1,"bind":1,"installed":25,"last_used":25,"stats":{"bytes":0,"packets":0,"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0}}]}}]}').values;
  assert.deepEqual(u32.map((f) => [f.handle, f.matches, f.actions[0]?.kind, f.actions[0]?.toDevice]), [['800::800', [{ value: 0x0a000005, mask: 0xffffffff, offset: 16 }], 'mirred', 'lo']]);
  const plain = decodeFilters(JSON.stringify({ ingress: 'filter protocol ip pref 9 u32 chain 0 \nfilter protocol ip pref 9 u32 chain 0 fh 800: ht divisor 1 \nfilter protocol ip pref 9 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 terminal flowid not_in_hw \n  match 0a000005/ffffffff at 16\n\taction order 1: gact action drop\n\t random type none pass val 0\n\t index 1 ref 1 bind 1\n' })).values;
  assert.deepEqual(plain.map((f) => [f.direction, f.preference, f.handle, f.actions[0]?.control]), [['ingress', 9, '800::800', 'drop']]);
});

test('classic BPF: the filter of a real fault takes its port, and nothing else', () => {
  const code = decodeFilters(text('tc-bpf-egress', 'a', 'filter')).values[0]?.bytecode;
  assert.ok(code !== undefined);
  const frame = new Uint8Array(64);
  frame.set([0x08, 0x00, 0x45], 12);
  frame[23] = 17;
  frame.set([0x23, 0x28], 36); // destination port 9000
  assert.equal(runClassic(code, frame, 64), 2); // TC_ACT_SHOT
  frame[37] = 0x29;
  assert.equal(runClassic(code, frame, 64), 0xffffffff); // TC_ACT_UNSPEC
  assert.equal(runClassic(code, new Uint8Array(8), 8), undefined);
});

test('xfrm policies and states, with and without statistics', () => {
  const policies = decodeXfrmPolicies(text('xfrm-out-block', 'a', 'xfrm-policy')).values;
  assert.deepEqual(policies.map((p) => [p.direction, p.action, p.priority, p.selector.source, p.selector.protocol]), [['out', 'block', 10, '10.0.0.1/32', 'udp']]);
  const tmpl = decodeXfrmPolicies('src 10.0.0.2/32 dst 10.0.0.1/32 uid 0\n\tdir in action allow index 8 priority 0 ptype main share any flag  (0x00000000)\n\tlifetime current:\n\t  0(bytes), 0(packets)\n\ttmpl src 10.0.0.2 dst 10.0.0.1\n\t\tproto esp spi 0x00000000(0) reqid 3(0x00000003) mode transport\n\t\tlevel required share any \n').values[0];
  assert.deepEqual(tmpl?.templates, [{ source: '10.0.0.2', destination: '10.0.0.1', protocol: 'esp', optional: false, reqid: 3, spi: '0x00000000', mode: 'transport' }]);
  assert.equal(tmpl?.index, 8);
  assert.deepEqual(decodeXfrmStates('src 10.0.0.2 dst 10.0.0.1\n\tproto esp spi 0x00000100(256) reqid 3(0x00000003) mode transport\n\treplay-window 0 seq 0x00000000 flag  (0x00000000)\n').values.map((s) => [s.spi, s.protocol, s.destination]), [['0x00000100', 'esp', '10.0.0.1']]);
});

test('sysctls: one value, or lines of a glob', () => {
  assert.equal(decodeSysctl('2\n', 'net/ipv4/conf/eth0/rp_filter').get('net/ipv4/conf/eth0/rp_filter'), '2');
  assert.equal(decodeSysctl('net/ipv4/conf/eth0.5/rp_filter = 2\n', 'net/ipv4/conf/*/rp_filter').get('net/ipv4/conf/eth0.5/rp_filter'), '2');
  assert.equal(decodeSysctl('', 'net/ipv4/conf/*/rp_filter').size, 0);
});

test('no decoder throws, whatever the tools print', () => {
  const decoders = [decodeLinks, decodeAddresses, (s: string) => decodeRoutes(s, 4), (s: string) => decodeRules(s, 6), decodeNeighbours, decodeRouteGet, decodeBridgePorts, decodeFdb, decodeBridgeVlans, decodeQdiscs, decodeClasses, decodeFilters, decodeXfrmPolicies, decodeXfrmStates, (s: string) => decodeSysctl(s, 'net/x')];
  const real = ['link', 'address', 'route', 'route6', 'rule', 'neighbour', 'qdisc', 'bridge-link', 'bridge-fdb', 'filter', 'xfrm-policy'].map((t) => text('healthy-bridged', 's', t));
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.array(fc.dictionary(fc.constantFrom('ifname', 'ifindex', 'dst', 'dev', 'kind', 'pref', 'options', 'flags', 'linkinfo', 'metrics', 'nexthops', 'actions', 'priority', 'vlans', 'mac', 'master'), fc.jsonValue())).map((v) => JSON.stringify(v))), (s) => {
    for (const decode of decoders) decode(s);
  }), { numRuns: 300 });
  fc.assert(fc.property(fc.constantFrom(...real), fc.nat(), fc.nat(255), (s, at, c) => {
    const cut = at % (s.length + 1);
    for (const decode of decoders) {
      decode(s.slice(0, cut));
      decode(s.slice(0, cut) + String.fromCharCode(c) + s.slice(cut + 1));
    }
  }), { numRuns: 100 });
});
