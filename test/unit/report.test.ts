import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, areaOf, byteSize, clock, confidenceWord, counted, createRates, LOOKS, lookOf, lossUnit, lossWords, reportOf, SEVERITY, short, span, victimShort } from '../../src/report/index.ts';
import { hostile, INCIDENTS, insertRace, NOW, policyDrop, qdisc, raceDiagram, ruleDrop, seccomp, unknown } from '../fixtures-incidents.ts';

test('numbers and times in words', () => {
  assert.equal(counted(1, 'packet'), '1 packet');
  assert.equal(counted(1234567, 'packet'), '1,234,567 packets');
  assert.deepEqual([0, 999, 1000, 126480, 999_600, 118_800_000].map(byteSize), ['0 bytes', '999 bytes', '1.0 kB', '126 kB', '1.0 MB', '119 MB']);
  assert.deepEqual([0, 7, 0.25, 999, 1000, 12_345, 999_999].map(short), ['0', '7', '0.3', '999', '1.0k', '12k', '1.0M']);
  assert.deepEqual([0, 400, 12_000, 150_000, 7_200_000, 500_000_000].map(span), ['0 s', '0.4 s', '12 s', '3 min', '2 h', '6 d']);
  assert.equal(age('2026-11-22T23:54:07.050Z', NOW), '3 s ago');
  assert.equal(age('2026-11-22T23:54:09.900Z', NOW), 'just now');
  assert.equal(age('nonsense', NOW), 'at an unknown time');
  assert.equal(clock('2026-11-22T23:54:07.050Z'), '23:54:07.050');
  assert.equal(clock('2026-11-22T23:54:07.050123456Z'), '23:54:07.050');
  assert.equal(clock('soon'), 'soon');
});

test('the headline names victim, culprit, count and age', () => {
  const { headline } = reportOf(ruleDrop, NOW);
  for (const part of ['A firewall rule dropped it', 'openvpn (pid 4242', '1,240 packets', '10.77.0.1:1194', 'EPERM', '3 s ago', 'filter OUTPUT rule 3']) assert.ok(headline.includes(part), `${part} in ${headline}`);
});

test('calls that failed without a packet are not called packets', () => {
  assert.equal(lossUnit(seccomp), 'failed call');
  assert.equal(lossWords(seccomp), 'python3 (pid 3100, container web-1): 5 failed calls, udp 0.0.0.0 to 10.0.0.2:514; sendto gave EPERM');
  assert.equal(lossUnit(ruleDrop), 'packet');
  assert.equal(lossUnit({ ...seccomp, victims: [] }), 'loss');
  assert.equal(lossWords(policyDrop), '8 packets lost, tcp [fd00::2]:45678 to [fd00::1]:8080');
  assert.equal(victimShort({ ...qdisc, victims: [] }), 'blue');
});

test('evidence is grouped by source, in the order in which sources spoke', () => {
  assert.deepEqual(reportOf(ruleDrop, NOW).because.map((g) => [g.source, g.lines.length]), [['drop probe', 1], ['call probe', 1], ['iptables-save -c', 2]]);
});

test('nothing of the incident is lost on the way to the report', () => {
  for (const incident of INCIDENTS) {
    const report = reportOf(incident, NOW, raceDiagram);
    assert.equal(report.because.flatMap((g) => g.lines).length, incident.evidence.length);
    assert.deepEqual(report.todo, incident.remedies);
    assert.deepEqual(report.ruledOut, incident.ruledOut);
    assert.deepEqual(report.cannotTell, incident.cannotTell);
    assert.equal(report.flows.length, incident.victims.length);
    assert.deepEqual(report.stack, incident.where.stack ?? []);
    assert.equal(report.diagram, raceDiagram);
  }
  assert.equal('diagram' in reportOf(insertRace, NOW), false);
});

test('a name of a kilobyte does not push the verdict away', () => {
  const long = 'x'.repeat(4096);
  const { loss } = reportOf({ ...ruleDrop, victims: [{ process: { pid: 1, comm: long, unit: long }, flow: { protocol: long, source: long, destination: long }, syscall: long, errno: long, count: 1 }] }, NOW);
  assert.ok(loss.length < 500, String(loss.length));
});

test('culprit fields of any shape become text', () => {
  const { culprit } = reportOf({ ...ruleDrop, culprit: { kind: 'rule', text: 't', big: 2n ** 63n, nested: { a: 1n }, none: undefined, receiveBuffer: 4, huge: 'y'.repeat(9999) } }, NOW);
  assert.deepEqual(culprit.fields, [{ label: 'big', value: '9223372036854775808' }, { label: 'nested', value: '{"a":"1"}' }, { label: 'receive buffer', value: '4' }]);
  assert.doesNotThrow(() => reportOf(hostile, NOW));
});

test('every area of the causes has a word and a colour; what is not known looks so', () => {
  for (const incident of INCIDENTS) if (incident !== unknown) assert.notEqual(lookOf(incident.cause.id).word, 'not known', incident.cause.id);
  assert.equal(areaOf('netfilter.rule-drop'), 'netfilter');
  assert.equal(lookOf('constructor.x').word, 'not known');
  assert.equal(lookOf('unknown').word, 'not known');
  assert.deepEqual([0.99, 0.95, 0.8, 0.5].map(confidenceWord), ['certain', 'certain', 'likely', 'possible']);
});

/** WCAG 2.2 relative luminance and contrast. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r, g, bl] = [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * bl!;
  };
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

test('all colours can be read on their page', () => {
  for (const look of [...LOOKS, ...Object.values(SEVERITY)]) {
    assert.ok(contrast(look.light, '#ffffff') >= 4.5, `${look.word} light ${contrast(look.light, '#ffffff').toFixed(2)}`);
    assert.ok(contrast(look.dark, '#12161c') >= 4.5, `${look.word} dark ${contrast(look.dark, '#12161c').toFixed(2)}`);
  }
});

test('rates are what counts grew by in each second', () => {
  const rates = createRates(5);
  const at = (count: number) => [{ ...ruleDrop, count }];
  rates.add(1000, at(10));
  rates.add(1500, at(15));
  rates.add(2100, at(16));
  rates.add(4000, at(16));
  assert.deepEqual(rates.series(), [{ cause: 'netfilter.rule-drop', perSecond: [15, 1, 0] }]);
  rates.add(4100, at(12)); // shared out anew: nothing was found again
  rates.add(4200, at(18));
  rates.add(5000, at(18));
  assert.deepEqual(rates.series()[0]?.perSecond, [15, 1, 0, 2]);
  rates.add(5000, [...at(18), { ...qdisc, count: 7 }]);
  rates.add(7000, [...at(18), { ...qdisc, count: 7 }]);
  assert.deepEqual(rates.series(), [{ cause: 'netfilter.rule-drop', perSecond: [1, 0, 2, 0, 0] }, { cause: 'qdisc.tail-drop', perSecond: [0, 0, 0, 7, 0] }]);
  rates.add(100_000_000, at(18)); // the machine slept for a day
  assert.deepEqual(rates.series(), []);
});

test('losses a second: what is told late is drawn in the second when it was lost', () => {
  const rates = createRates(10);
  const start = Date.parse('2026-11-22T23:54:00.200Z');
  for (let s = 0; s <= 3; s++) rates.add(start + s * 1000, []);
  rates.add(start + 4000, [{ ...ruleDrop, count: 7, first: '2026-11-22T23:54:01.000Z', last: '2026-11-22T23:54:02.900Z' }]);
  rates.add(start + 5000, [{ ...ruleDrop, count: 9, first: '2026-11-22T23:54:01.000Z', last: '2026-11-22T23:54:05.100Z' }]);
  rates.add(start + 6000, []);
  assert.deepEqual(rates.series().map((r) => r.perSecond), [[0, 0, 7, 0, 0, 2]]);
});
