import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as ttlExceeded } from '../../src/causes/ip/ttl-exceeded.ts';
import { cause as elsewhere } from '../../src/causes/normal/elsewhere.ts';
import { cause as forwarding } from '../../src/causes/route/forwarding-disabled.ts';
import { cause as rpFilter } from '../../src/causes/route/rp-filter.ts';
import type { Cause } from '../../src/model/cause.ts';
import { BLUE, type Answered } from '../fake-evidence.ts';
import { drop, found, judged } from './socket-world.ts';

/** What tracefs tells of a received packet: place, reason, ethertype. */
const traced = (reason: string, symbol: string, protocol = 0x0800) => drop(reason, symbol, { defects: [] }, { probe: 'tracefs', interface: undefined as never, ifindex: 0, protocol, length: 0 });
const file = (name: string, body: string): Answered => [{ topic: 'proc', netns: BLUE, argument: `net/${name}` }, body];
const netstat = (n: number) => file('netstat', `TcpExt: IPReversePathFilter\nTcpExt: ${n}\n`);
const snmp = (header: number, address: number) => file('snmp', `Ip: InHdrErrors InAddrErrors\nIp: ${header} ${address}\n`);
const RP: Answered = [{ topic: 'sysctl', netns: BLUE, argument: 'net/ipv4/conf/*/rp_filter' }, 'net/ipv4/conf/all/rp_filter = 0\nnet/ipv4/conf/default/rp_filter = 1\nnet/ipv4/conf/eth0/rp_filter = 1\nnet/ipv4/conf/eth1/rp_filter = 0'];
const judge = (cause: Cause, symptom: ReturnType<typeof traced>, answers: readonly Answered[], before: readonly Answered[]) => judged(cause, symptom, { answers, before });

test('a trace names no namespace: the counters tell whether it was this one', () => {
  const hit = traced('IP_RPFILTER', 'ip_rcv_finish_core');
  assert.equal(found(judge(elsewhere, hit, [netstat(7)], [netstat(7)])).severity, 'info');
  assert.equal(judge(elsewhere, hit, [netstat(9)], [netstat(7)]).outcome, 'ruled-out');
  assert.equal(judge(elsewhere, hit, [netstat(9)], []).outcome, 'not-applicable'); //                      no reading from before
  assert.equal(judge(elsewhere, traced('NETFILTER_DROP', 'nf_hook_slow'), [netstat(7)], [netstat(7)]).outcome, 'not-applicable'); // counted nowhere
  assert.equal(judge(elsewhere, drop('IP_RPFILTER', 'ip_rcv_finish_core', { defects: [] }), [netstat(7)], [netstat(7)]).outcome, 'not-applicable'); // BPF knows
});

test('the reverse-path filter, forwarding and the TTL, told from a trace, a counter and the settings', () => {
  const f = found(judge(rpFilter, traced('IP_RPFILTER', 'ip_rcv_finish_core'), [netstat(9), RP], [netstat(7)]));
  assert.match(f.culprit.text, /net\.ipv4\.conf\.eth0\.rp_filter = 1/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.conf.eth0.rp_filter=2');
  assert.equal(judge(rpFilter, traced('IP_RPFILTER', 'ip_rcv_finish_core'), [netstat(7), RP], [netstat(7)]).outcome, 'ruled-out');

  const off: Answered = [{ topic: 'sysctl', netns: BLUE, argument: 'net/ipv4/conf/*/forwarding' }, 'net/ipv4/conf/all/forwarding = 0\nnet/ipv4/conf/eth0/forwarding = 0'];
  const g = found(judge(forwarding, traced('IP_INADDRERRORS', 'ip_error'), [snmp(0, 4), off], [snmp(0, 0)]));
  assert.equal(g.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.ip_forward=1');
  const on: Answered = [off[0], 'net/ipv4/conf/all/forwarding = 1\nnet/ipv4/conf/eth0/forwarding = 1'];
  assert.equal(judge(forwarding, traced('IP_INADDRERRORS', 'ip_error'), [snmp(0, 4), on], [snmp(0, 0)]).outcome, 'ruled-out');

  assert.match(found(judge(ttlExceeded, traced('IP_INHDR', 'ip_forward'), [snmp(40, 0)], [snmp(0, 0)])).explanation, /InHdrErrors \+40/);
  assert.equal(judge(ttlExceeded, traced('IP_INHDR', 'ip_forward'), [snmp(0, 0)], [snmp(0, 0)]).outcome, 'ruled-out');
});
