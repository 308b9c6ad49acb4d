import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, mono, netnsInode } from '../../src/base/brand.ts';
import { createDiagnosis } from '../../src/diagnose/index.ts';
import { rank } from '../../src/diagnose/incidents.ts';
import type { Cause } from '../../src/model/cause.ts';
import type { CallEvent, DropCountEvent, DropEvent } from '../../src/model/event.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Found } from '../../src/model/finding.ts';
import type { Symptom } from '../../src/model/symptom.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { HOME } from '../fake-evidence.ts';

const NETNS = netnsInode(77);
const at = (seconds: number) => mono(BigInt(Math.round(seconds * 1e9)));

function drop(over: Partial<DropEvent> & { port?: number; sourcePort?: number; seconds?: number } = {}): DropEvent {
  return {
    kind: 'drop', time: at(over.seconds ?? 1), cpu: 0, netns: NETNS, ifindex: 0, skb: address(1n),
    place: { address: address(0xffffffff81000100n), name: 'nft_do_chain', offset: 0x3e8 },
    reason: { number: 12, name: 'NETFILTER_DROP' }, protocol: 0x800, length: 100, mark: 0,
    packet: {
      ip: { version: 4, source: '10.0.0.1', destination: '10.0.0.2', protocol: 17, ttl: 64, totalLength: 100, headerLength: 20, tos: 0 },
      transport: { kind: 'udp', sourcePort: over.sourcePort ?? 40000, destinationPort: over.port ?? 9000, length: 80, checksum: 0 }, defects: [],
    },
    stack: [], softirq: false, task: { pid: 100, tid: 100, comm: 'app' }, probe: 'bpf', ...over,
  };
}
const call = (seconds: number, errno = 'EPERM'): CallEvent => ({ kind: 'call', time: at(seconds), cpu: 0, netns: NETNS, task: { pid: 100, tid: 100, comm: 'app' }, syscall: 'sendto', errno, args: [] });
const counted = (packets: number): DropCountEvent => ({ kind: 'drop-count', time: at(2), place: drop().place, reason: drop().reason, netns: NETNS, ifindex: 0, protocol: 0x800, packets, bytes: packets * 100 });

const found = (identity: string, over: Partial<Found> = {}): Found => ({
  outcome: 'found', confidence: 0.95, severity: 'warning', identity, explanation: 'It was dropped. Here. Because.', culprit: { kind: 'rule', text: identity }, evidence: [], remedies: [], ...over,
});
const cause = (id: string, judge: Cause['judge']): Cause => ({
  id, title: id, needs: [], knowledge: { what: '', signs: [], fixes: [], functions: [], reasons: [], errnos: [], versions: [], sources: [] }, judge,
});
const byPort = cause('test.port', (s) => (s.kind === 'drop' && s.drop.packet.transport?.kind === 'udp' ? found(`port ${s.drop.packet.transport.destinationPort}`) : NOT_APPLICABLE));

const diagnosis = (causes: readonly Cause[]) =>
  createDiagnosis({
    host: { kernel: '6.18', hostname: 'h', cpus: 2, home: HOME, netnsNames: new Map([[NETNS, 'blue']]) },
    realtimeOffset: 0n, causes, fromAnswers: () => [],
    victims: (_, s) => [{ count: 1, ...(s.kind === 'drop' && s.call !== undefined ? { errno: s.call.errno, syscall: s.call.syscall } : s.kind === 'call' ? { errno: s.call.errno } : {}) }],
  });

test('drops of one cause and identity are one incident, whatever their source ports', () => {
  const d = diagnosis([byPort]);
  d.add(drop({ sourcePort: 40000 }));
  d.add(drop({ sourcePort: 40001, seconds: 1.1 }));
  d.add(drop({ port: 53, seconds: 1.2 }));
  d.judge(at(2));
  const incidents = d.incidents(at(2));
  assert.deepEqual(incidents.map((i) => [i.culprit.text, i.count]), [['port 9000', 2], ['port 53', 1]]);
  assert.deepEqual(incidents[0]?.where.netns, { inode: 77, name: 'blue' });
  assert.equal(incidents[0]?.where.symbol, 'nft_do_chain+0x3e8');
});

test('counts are the kernel-side counter where one incident owns it, and its share where several do', () => {
  const d = diagnosis([byPort]);
  d.add(drop());
  d.add(counted(1_000_000));
  d.judge(at(2));
  assert.equal(d.incidents(at(2))[0]?.count, 1_000_000);
  assert.equal(d.incidents(at(2))[0]?.bytes, 100_000_000);
  for (let i = 0; i < 3; i++) d.add(drop({ port: 53, seconds: 2 + i / 10 }));
  d.judge(at(3));
  assert.deepEqual(d.incidents(at(3)).map((i) => i.count), [750_000, 250_000]);
});

test('a failed call of the same task joins its drop; one without a drop is a symptom of its own', () => {
  const calls = cause('test.call', (s) => (s.kind === 'call' ? found('refused') : NOT_APPLICABLE));
  const d = diagnosis([byPort, calls]);
  d.add(drop({ seconds: 1 }));
  d.add(call(1.00001));
  d.judge(at(2));
  assert.deepEqual(d.incidents(at(2)).map((i) => [i.cause.id, i.victims[0]?.errno]), [['test.port', 'EPERM']]);
  d.add(call(5));
  d.judge(at(6));
  assert.deepEqual(d.incidents(at(6)).map((i) => i.cause.id).sort(), ['test.call', 'test.port']);
});

test('while samples are shed, a failed call is not taken for one without a drop', () => {
  const calls = cause('test.call', (s) => (s.kind === 'call' ? found('refused') : NOT_APPLICABLE));
  const d = diagnosis([byPort, calls]);
  d.add(drop({ seconds: 1 }));
  d.add(call(1.00001));
  d.add(counted(500));
  d.add(call(1.5));
  d.judge(at(2));
  assert.deepEqual(d.incidents(at(2)).map((i) => i.cause.id), ['test.port']);
});

test('a failed call like the one before is taken for one of its drops, even while the counters are not read yet', () => {
  const calls = cause('test.call', (s) => (s.kind === 'call' ? found('refused') : NOT_APPLICABLE));
  const d = diagnosis([byPort, calls]);
  d.add(drop({ seconds: 1 }));
  d.add(call(1.00001));
  d.add(call(1.3));
  d.add(call(1.4, 'EACCES'));
  d.judge(at(2));
  assert.deepEqual(d.incidents(at(2)).map((i) => [i.cause.id, i.victims[0]?.errno]).sort(), [['test.call', 'EACCES'], ['test.port', 'EPERM']]);
});

test('a cause that waits for an answer delays an unsure verdict, not a sure one', () => {
  const question = { topic: 'nft', netns: NETNS } as const;
  const asks = cause('test.asks', (_, evidence) => {
    const answer = evidence.answer(question);
    return isUnavailable(answer) ? cannotTell('no listing', 'nft') : found(String(answer.body), { confidence: 0.99 });
  });
  const guess = cause('test.guess', () => found('guess', { confidence: 0.3 }));
  const d = diagnosis([guess, asks]);
  d.add(drop());
  const first = d.judge(at(2));
  assert.deepEqual(first.incidents, []);
  assert.deepEqual(first.questions, [question]);
  assert.deepEqual(d.judge(at(2.1)).questions, [], 'asked once');
  d.add({ kind: 'answer', time: at(0.5), question, body: 'read before the loss' });
  assert.deepEqual(d.judge(at(2.2)).questions, [question], 'an answer from before the loss does not count');
  d.add({ kind: 'answer', time: at(2.2), question, body: 'rule 7' });
  assert.deepEqual(d.judge(at(2.3)).incidents.map((i) => i.culprit.text), ['rule 7']);

  const sure = diagnosis([byPort, asks]);
  sure.add(drop());
  assert.deepEqual(sure.judge(at(2)).incidents.map((i) => i.cause.id), ['test.port']);
});

test('what was ruled out and what cannot be told is part of the verdict', () => {
  const innocent = cause('test.innocent', () => ruledOut('its counter stands still'));
  const blind = cause('test.blind', () => cannotTell('no permission', 'root'));
  const d = diagnosis([innocent, blind, byPort]);
  d.add(drop());
  d.judge(at(2));
  const [incident] = d.incidents(at(2));
  assert.deepEqual(incident?.ruledOut, [{ cause: 'test.innocent', because: 'its counter stands still' }]);
  assert.deepEqual(incident?.cannotTell, [{ cause: 'test.blind', because: 'no permission', wouldTell: 'root' }]);
});

test('a second look changes its mind only when it knows better', () => {
  let answer = found('first', { confidence: 0.8 });
  const fickle = cause('test.fickle', () => answer);
  const d = diagnosis([fickle]);
  d.add(drop({ seconds: 1 }));
  d.judge(at(1.1));
  answer = found('second', { confidence: 0.5 });
  d.add(drop({ seconds: 4 }));
  d.judge(at(4.1));
  d.judge(at(4.2));
  assert.deepEqual(d.incidents(at(5)).map((i) => i.culprit.text), ['first']);
  answer = found('third', { confidence: 0.9 });
  d.add(drop({ seconds: 8 }));
  d.judge(at(8.1));
  d.judge(at(8.2));
  assert.deepEqual(d.incidents(at(9)).map((i) => [i.culprit.text, i.count]), [['third', 3]]);
});

test('an incident changes on the stream at most once a second, and not at all when nothing changed', () => {
  const d = diagnosis([byPort]);
  d.add(drop({ seconds: 1 }));
  assert.equal(d.judge(at(1)).incidents.length, 1);
  d.add(drop({ seconds: 1.2 }));
  assert.equal(d.judge(at(1.3)).incidents.length, 0);
  assert.equal(d.judge(at(2.1)).incidents[0]?.count, 2);
  assert.equal(d.judge(at(4)).incidents.length, 0);
});

test('a port scan of 100,000 flows stays bounded and counted', () => {
  const d = diagnosis([cause('test.all', () => found('all'))]);
  for (let i = 0; i < 100_000; i++) d.add(drop({ port: 1 + (i % 30_000), sourcePort: 1 + (i % 32_000), seconds: 1 + i / 1e6 }));
  for (let i = 0; i < 10; i++) d.judge(at(2 + i));
  assert.deepEqual(d.incidents(at(12)).map((i) => [i.count, i.victims.length]), [[100_000, 1]]);
});

test('most harm first: severity, then what is understood, then the number of packets', () => {
  const base = (id: string, severity: 'critical' | 'warning' | 'info', count: number) =>
    ({ type: 'incident', id, state: 'open', severity, first: '', last: '', count, bytes: 0, cause: { id, title: '' }, confidence: 1, explanation: '', where: { netns: { inode: 1 } }, victims: [], culprit: { kind: 'unknown', text: '' }, evidence: [], ruledOut: [], cannotTell: [], remedies: [] }) as const;
  const order = rank([base('info', 'info', 9e9), base('unknown', 'warning', 500), base('few', 'warning', 5), base('many', 'warning', 50), base('bad', 'critical', 1)]).map((i) => i.id);
  assert.deepEqual(order, ['bad', 'many', 'few', 'unknown', 'info']);
});

test('the same events give the same incidents, byte for byte', () => {
  const run = () => {
    const d = diagnosis([byPort]);
    for (let i = 0; i < 50; i++) d.add(drop({ port: 1000 + (i % 7), seconds: 1 + i / 100 }));
    d.judge(at(3));
    return JSON.stringify(d.incidents(at(3)));
  };
  assert.equal(run(), run());

});

test('a scan against one policy: a few incidents of its own, one for all the others; a service that suffers more comes first', () => {
  const remedies = [{ text: 'accept all', risk: 'high' }] as const;
  const policy = cause('test.policy', (s) => (s.kind === 'drop' && s.drop.packet.transport?.kind === 'udp' ? found(`policy ${s.drop.packet.transport.destinationPort}`, { wider: { identity: 'policy and more', explanation: 'Many.', remedies } }) : NOT_APPLICABLE));
  const d = diagnosis([policy]);
  for (let i = 0; i < 40; i++) d.add(drop({ port: 9000, seconds: 1 + i / 100 }));
  for (let port = 1; port <= 200; port++) for (let n = 0; n < 2; n++) d.add(drop({ port, seconds: 2 + port / 100 }));
  for (let i = 0; i < 10; i++) d.judge(at(5 + i));
  const incidents = d.incidents(at(20));
  assert.equal(incidents.length, 9);
  assert.equal(incidents[0]?.culprit.text, 'policy 9000');
  assert.equal(incidents[1]?.explanation, 'Many.');
  assert.deepEqual([incidents[1]?.culprit['conversations'], incidents[1]?.count, incidents[1]?.remedies], [201, 386, remedies]);
  assert.equal(incidents.reduce((n, i) => n + i.count, 0), 440, 'none is lost, none counted twice');
});

test('a few conversations against one policy stay apart', () => {
  const policy = cause('test.policy', (s) => (s.kind === 'drop' && s.drop.packet.transport?.kind === 'udp' ? found(`policy ${s.drop.packet.transport.destinationPort}`, { wider: { identity: 'policy and more', explanation: 'Many.', remedies: [] } }) : NOT_APPLICABLE));
  const d = diagnosis([policy]);
  for (let port = 1; port <= 8; port++) d.add(drop({ port }));
  for (let i = 0; i < 3; i++) d.judge(at(5 + i));
  assert.deepEqual(d.incidents(at(20)).map((i) => i.explanation).filter((e) => e === 'Many.'), []);
  assert.equal(d.incidents(at(20)).length, 8);
});

test('an incident that is over is given out once more, closed; when it comes back, open again', () => {
  const d = diagnosis([byPort]);
  d.add(drop());
  const states = (seconds: number): string[] => d.judge(at(seconds)).incidents.map((i) => i.state);
  assert.deepEqual(states(2), ['open']);
  assert.deepEqual([...states(10), ...states(30)], []);
  assert.deepEqual(states(33), ['closed']);
  assert.deepEqual([...states(34), ...states(70), ...states(140)], []);
  d.add(drop({ seconds: 150 }));
  assert.deepEqual([...states(150.1), ...states(160), ...states(190)], ['open', 'closed']);
});

test('a symptom that waits is put before the causes again when one of its answers comes, not at every judgement', () => {
  let looks = 0;
  const asks = cause('test.asks', (_, evidence) => {
    looks += 1;
    const answer = evidence.answer({ topic: 'link', netns: NETNS });
    const other = evidence.answer({ topic: 'route', netns: NETNS });
    return isUnavailable(answer) || isUnavailable(other) ? NOT_APPLICABLE : found(String(answer.body));
  });
  const d = diagnosis([asks]);
  d.add(drop());
  assert.equal(d.judge(at(1.1)).questions.length, 2);
  for (let i = 0; i < 50; i++) {
    d.add({ kind: 'answer', time: at(1.2), question: { topic: 'address', netns: NETNS }, body: '' });
    d.judge(at(1.2 + i / 100));
  }
  assert.equal(looks, 1);
  d.add({ kind: 'answer', time: at(2), question: { topic: 'link', netns: NETNS }, body: 'eth0' });
  d.judge(at(2));
  assert.equal(looks, 2);
  assert.equal(d.incidents(at(2)).length, 0);
  d.add({ kind: 'answer', time: at(2.1), question: { topic: 'route', netns: NETNS }, body: '' });
  d.judge(at(2.1));
  assert.deepEqual(d.incidents(at(2.2)).map((i) => i.culprit.text), ['eth0']);
});

test('as long as few were lost an incident is everyday business', () => {
  const d = diagnosis([cause('test.few', () => found('few', { few: 3 }))]);
  for (const seconds of [1, 1.1, 1.2]) d.add(drop({ seconds }));
  d.judge(at(2));
  assert.deepEqual(d.incidents(at(2)).map((i) => [i.severity, i.count]), [['info', 3]]);
  d.add(drop({ seconds: 2.1 }));
  d.judge(at(2.2));
  assert.deepEqual(d.incidents(at(3)).map((i) => [i.severity, i.count]), [['warning', 4]]);
});

test('a scan of more ports than are kept apart: each was tried once, and none is a warning for what was lumped together', () => {
  const tried = cause('test.closed', (s) => (s.kind === 'drop' && s.drop.packet.transport?.kind === 'udp' ? found(`port ${s.drop.packet.transport.destinationPort}`, { few: 3 }) : NOT_APPLICABLE));
  const d = diagnosis([tried]);
  for (let i = 0; i < 300; i++) d.add(drop({ port: 1000 + i, sourcePort: 40_000 + i, seconds: 1 + i / 1000 }));
  d.add(counted(300));
  for (let i = 0; i < 10; i++) d.judge(at(2 + i));
  assert.deepEqual([...new Set(d.incidents(at(12)).map((i) => i.severity))], ['info']);
  for (let i = 0; i < 8; i++) d.add(drop({ port: 1005, sourcePort: 50_000 + i, seconds: 12 + i / 10 }));
  for (let i = 0; i < 10; i++) d.judge(at(13 + i));
  assert.ok(d.incidents(at(22)).some((i) => i.severity === 'warning'), 'who goes on trying waits for the service');
});

test('a counter counts what it says, a clue nothing', () => {
  const told: Symptom[][] = [[], [{ kind: 'counter', netns: NETNS, first: at(1), counter: 'a', before: 5, after: 12 }], [{ kind: 'counter', netns: NETNS, first: at(2), counter: 'a', before: 12, after: 14 }, { kind: 'counter', netns: NETNS, first: at(2), counter: 'b', before: 0, after: 0, clue: true }]];
  const d = createDiagnosis({
    host: { kernel: '6.18', hostname: 'h', cpus: 2, home: HOME, netnsNames: new Map() }, realtimeOffset: 0n, causes: [cause('test.counter', (s) => (s.kind === 'counter' ? found(s.counter) : NOT_APPLICABLE))],
    fromAnswers: () => told.shift() ?? [], victims: () => [],
  });
  for (const t of [1, 2, 3]) d.judge(at(t));
  assert.deepEqual(d.incidents(at(3)).map((i) => [i.culprit.text, i.count]), [['a', 9], ['b', 1]]);
});

test('a verdict that conntrack events made, or their absence, says how many of them were missed in those seconds', () => {
  const race = cause('conntrack.insert-race', (s) => (s.kind === 'drop' ? found('race') : NOT_APPLICABLE));
  const dying = cause('conntrack.dying-entry', () => ruledOut('no entry of the flow was deleted'));
  const full = cause('conntrack.table-full', () => ruledOut('5 of 1000 entries'));
  const verdict = (missedAt: number, source = 'conntrack-events') => {
    const d = diagnosis([race, dying, full]);
    d.add({ kind: 'missed', time: at(missedAt), source, count: 612, text: 'came faster than they could be read' });
    d.add(drop({ seconds: 20 }));
    d.judge(at(21));
    const [incident] = d.incidents(at(21));
    return { ruledOut: incident?.ruledOut.map((r) => r.cause), cannotTell: incident?.cannotTell.map((c) => [c.cause, c.because]) };
  };
  assert.deepEqual(verdict(19), { ruledOut: ['conntrack.table-full'], cannotTell: [
    ['conntrack.dying-entry', 'no entry of the flow was deleted, but 612 conntrack events of these seconds were missed'],
    ['conntrack.insert-race', 'whether more made it happen than is told here: 612 conntrack events of these seconds were missed'],
  ] });
  assert.deepEqual(verdict(19, 'bpf-exec').cannotTell, [['conntrack.insert-race', 'whether more made it happen than is told here: 612 programs that started in these seconds were missed']]);
  assert.deepEqual(verdict(2), { ruledOut: ['conntrack.dying-entry', 'conntrack.table-full'], cannotTell: [] });
});
