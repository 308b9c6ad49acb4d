import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as noAnswer } from '../../src/causes/tcp/no-answer.ts';
import { cause as unresolved } from '../../src/causes/neigh/unresolved.ts';
import { createSigns } from '../../src/diagnose/signs.ts';
import type { CallEvent, DropEvent } from '../../src/model/event.ts';
import { mono } from '../../src/base/brand.ts';
import { ADDRESSES, BLUE, call, drop, found, judged, tcp } from './socket-world.ts';
import type { Answered } from '../fake-evidence.ts';

const SYN = 2;
const given = (over: Partial<CallEvent> = {}): CallEvent => ({
  ...call('connect', 'EINPROGRESS').call, destination: '10.0.0.1:80', task: { pid: 7, tid: 7, comm: 'curl' },
  socket: { ...call('connect', 'EINPROGRESS').call.socket!, family: 2, protocol: 6, local: '10.0.0.2:40000', remote: '10.0.0.1:80' },
  attempt: { waited: 3_000_000_000n, resent: 2 }, ...over,
});
const symptom = (event: CallEvent) => ({ kind: 'call', netns: event.netns, first: event.time, call: event }) as const;
const ROUTES: readonly Answered[] = [
  [{ topic: 'route', netns: BLUE }, '[{"dst":"10.0.0.0/24","dev":"eth0","scope":"link","prefsrc":"10.0.0.2","flags":[]}]'], [{ topic: 'route6', netns: BLUE }, '[]'],
  [{ topic: 'rule', netns: BLUE }, '[{"priority":0,"src":"all","table":"local"},{"priority":32766,"src":"all","table":"main"}]'], [{ topic: 'rule6', netns: BLUE }, '[]'],
];
const neighbour = (state: string): Answered => [{ topic: 'neighbour', netns: BLUE }, JSON.stringify([{ dst: '10.0.0.1', dev: 'eth0', ...(state === 'REACHABLE' ? { lladdr: '02:00:00:00:00:01' } : {}), state: [state] }])];

test('SYNs that nobody answers: how many, how long, by which way, and where to look next', () => {
  const f = found(judged(noAnswer, symptom(given()), { answers: [ADDRESSES, ...ROUTES, neighbour('REACHABLE')] }));
  assert.match(f.explanation, /curl \(pid 7\).*3 SYNs in 3\.0 s to 10\.0\.0\.1:80 through eth0.*gave up/s);
  assert.equal(f.culprit.text, '10.0.0.1:80 does not answer');
  assert.match(f.remedies[0]?.text ?? '', /[Ww]atch .*10\.0\.0\.1/);
});

test('where the neighbour does not answer, the SYN has not left: another cause', () => {
  const answers = [ADDRESSES, ...ROUTES, neighbour('INCOMPLETE')];
  assert.equal(judged(noAnswer, symptom(given()), { answers }).outcome, 'ruled-out');
  assert.notEqual(judged(unresolved, symptom(given()), { answers }).outcome, 'not-applicable');
});

test('a connection that is being made, another errno, another protocol are not this', () => {
  const { attempt: _, ...plain } = given();
  for (const event of [plain, given({ errno: 'ECONNREFUSED' }), given({ syscall: 'sendto' }), given({ socket: { ...given().socket!, protocol: 17 } })]) {
    assert.equal(judged(noAnswer, symptom(event), { answers: [] }).outcome, 'not-applicable');
  }
});

test('an attempt belongs to the drop of its SYN, or of the answer to it, in whatever namespace; not to that of another connection', () => {
  const at = (seconds: number) => mono(BigInt(seconds * 1e9));
  const dropped = (source: string, from: number, destination: string, to: number): DropEvent => ({ ...drop('NETFILTER_DROP', 'nft_do_chain', tcp(source, from, destination, to, SYN)).drop, netns: 99 as never, time: at(10), softirq: true });
  for (const [event, joined] of [
    [dropped('10.0.0.2', 40000, '10.0.0.1', 80), true], [dropped('10.0.0.1', 80, '10.0.0.2', 40000), true], [dropped('10.0.0.2', 40001, '10.0.0.1', 80), false],
  ] as const) {
    const signs = createSigns(100);
    const sign = signs.addDrop(event);
    signs.addCall(given({ time: at(12) }), false);
    assert.equal(signs.all.size, joined ? 1 : 2);
    const victims = [...sign.victims.values()].map((v) => (v.symptom.kind === 'drop' ? v.symptom.call?.task.comm : ''));
    assert.deepEqual(victims, [joined ? 'curl' : undefined]);
  }
  const mapped = createSigns(100);
  mapped.addDrop(dropped('10.0.0.2', 40000, '10.0.0.1', 80));
  mapped.addCall(given({ time: at(12), socket: { ...given().socket!, local: '[::ffff:10.0.0.2]:40000', remote: '[::ffff:10.0.0.1]:80' } }), false);
  assert.equal(mapped.all.size, 1, 'an IPv4 connection of an IPv6 socket');
});
