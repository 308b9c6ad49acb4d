import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { printable } from '../../src/base/text.ts';
import { renderArmed, renderDoctor, renderExplain, renderIncident, renderLoss, renderSummary, renderUpdate, terminalOptions } from '../../src/views/cli/index.ts';
import { diagramLines } from '../../src/views/cli/diagram.ts';
import { ascii, columns, fit, pad, wrap } from '../../src/views/cli/text.ts';
import { hostile, INCIDENTS, insertRace, LOSSES, noListener, NOW, PROBES, raceDiagram, ruleDrop, STATE, wide } from '../fixtures-incidents.ts';

const PLAIN = { width: 100, colour: false, now: NOW } as const;

test('verdict first, then culprit, then the command on a line of its own, then the proof', () => {
  const text = renderIncident(ruleDrop, PLAIN);
  const order = ['CRITICAL  A firewall rule dropped it', 'Culprit (rule):', 'Fix: ', 'Why: ', 'Evidence', 'Ruled out', 'Cannot tell', 'Where', 'Stack', 'Flows'].map((part) => text.indexOf(part));
  assert.ok(order.every((at) => at >= 0), String(order));
  assert.deepEqual(order, order.toSorted((a, b) => a - b));
  const lines = text.split('\n');
  for (const { command, undo } of ruleDrop.remedies) {
    assert.ok(lines.includes(`    ${command}`), command);
    assert.ok(lines.includes(`    ${undo}`), undo);
  }
});

test('commands are never wrapped, prose is', () => {
  const lines = renderIncident(ruleDrop, { ...PLAIN, width: 50 }).split('\n');
  assert.ok(lines.includes(`    ${ruleDrop.remedies[0]?.command}`));
  for (const line of lines) if (!/^ {4}ip /.test(line)) assert.ok(columns(line) <= 50, line);
});

test('compact says verdict, culprit, first fix and why, no more', () => {
  const text = renderIncident(ruleDrop, { ...PLAIN, compact: true });
  assert.ok(text.includes(ruleDrop.remedies[0]!.command!) && text.includes('Why: ') && !text.includes('Evidence') && !text.includes('Or: '));
});

test('an update is one line', () => {
  assert.equal(renderUpdate({ ...ruleDrop, count: 1252 }, 1240, PLAIN), '23:54:07.050  [0k3v9ax] +12 packets, 1,252 by now: netfilter.rule-drop, openvpn[4242] → 10.77.0.1:1…\n');
  assert.equal(renderUpdate(hostile, 0, PLAIN).split('\n').length, 2);
});

test('nothing from outside reaches the terminal as a control', () => {
  const all = [
    renderSummary({ incidents: INCIDENTS, loss: [{ source: hostile.culprit.text, count: 1, text: hostile.explanation }], cost: STATE.cost, probes: [{ id: hostile.culprit.text, state: 'unavailable', why: hostile.explanation, fix: hostile.explanation }] }, PLAIN),
    renderIncident(hostile, { ...PLAIN, diagram: { title: hostile.explanation, actors: [{ id: 'a', label: hostile.explanation }, { id: 'b', label: hostile.explanation }], messages: [{ from: 'a', to: 'b', text: hostile.explanation, time: hostile.explanation, kind: 'lost' }] } }),
    renderDoctor({ kernel: hostile.explanation, probes: [{ id: hostile.explanation, state: 'unavailable', why: hostile.explanation }] }, PLAIN),
    renderArmed({ kernel: hostile.explanation, netns: [{ inode: 1, name: hostile.explanation }], probes: [{ id: hostile.explanation, state: 'unavailable' }] }, PLAIN),
    renderLoss({ source: hostile.explanation, count: 1, text: hostile.explanation }, PLAIN),
    renderExplain({ about: 'words', title: hostile.explanation, text: hostile.explanation, causes: [] }, PLAIN),
  ].join('');
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(all, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u200b-\u200f]/);
  assert.ok(!all.split('\n').some((l) => l.startsWith('CRITICAL fake')));
  assert.ok(all.includes('control characters'), 'a command that cannot be typed is marked');
});

test('colour is only added to, never instead of, words', () => {
  const coloured = renderIncident(ruleDrop, { ...PLAIN, colour: true });
  // eslint-disable-next-line no-control-regex
  assert.match(coloured, /\u001b\[1m/);
  assert.equal(stripVTControlCharacters(coloured), renderIncident(ruleDrop, PLAIN));
});

test('a C locale gets ASCII only', () => {
  const text = renderSummary({ incidents: INCIDENTS, loss: LOSSES, cost: STATE.cost, probes: PROBES, diagrams: STATE.diagrams! }, { ...PLAIN, unicode: false });
  // eslint-disable-next-line no-control-regex
  assert.match(text, /^[\n\x20-\x7e]*$/);
  assert.ok(text.includes('->') && text.includes('\\u{670d}'));
  assert.equal(ascii('a→b… 日'), 'a->b... \\u{65e5}');
});

test('wide, combining and joined characters keep their columns', () => {
  assert.equal(columns('日本'), 4);
  assert.equal(fit('日本語テキスト', 6), '日本…');
  assert.equal(columns(pad('👩‍💻 áé̂', 10)), 10);
  for (const line of renderIncident(wide, { ...PLAIN, width: 60 }).split('\n')) assert.ok(columns(line) <= 60 || line.startsWith('    '), line);
});

test('what is counted without the library has the width that the library gives it', () => {
  for (let code = 0x20; code < 0x2800; code++) {
    const c = String.fromCodePoint(code);
    if (printable(c) === c) assert.equal(columns(c), stringWidth(c), `U+${code.toString(16)}`);
  }
});

test('wrapping keeps every word and never cuts one', () => {
  const text = 'one two 0123456789012345678901234567890123456789 three';
  assert.deepEqual(wrap(text, 20), ['one two', '0123456789012345678901234567890123456789', 'three']);
  assert.equal(wrap(text, 20, '  ', '    ').join(' ').replace(/ +/g, ' ').trim(), text);
});

test('the summary ranks, separates what is normal, and says what was not seen', () => {
  const text = renderSummary({ incidents: [ruleDrop, noListener], loss: LOSSES, cost: STATE.cost, ran: 10_200, probes: PROBES }, PLAIN);
  for (const part of ['1 incident in 10 s', 'Seen and normal (1)', 'What whydrop itself missed', 'bpf-ring', 'Not watched', 'exec-bpf', 'to get it: run whydrop as root', '0.41 s of CPU']) assert.ok(text.includes(part), part);
  assert.match(renderSummary({ incidents: [noListener], loss: [], cost: STATE.cost }, PLAIN), /^Nothing was lost that matters\./);
  assert.match(renderSummary({ incidents: [], loss: [{ source: 'sampling', count: 8000, text: 'x' }], cost: STATE.cost }, PLAIN), /^8,000 packets dropped and only counted/);
});

test('the first line of a watch says what is watched and what is not', () => {
  assert.equal(renderArmed({ kernel: '6.1.0', netns: STATE.netns, probes: PROBES }, { ...PLAIN, width: 200 }), 'Watching net:[4026531840], blue on kernel 6.1.0. Ctrl-C ends it with a summary. Not armed: exec-bpf (whydrop doctor says why).\n');
  assert.match(renderArmed({ kernel: '6.1.0', netns: [], probes: [] }, PLAIN), /^Watching every network namespace on kernel 6\.1\.0\./);
  assert.match(renderArmed({ kernel: 'k', netns: Array.from({ length: 6 }, (_, i) => ({ inode: i })), probes: [] }, PLAIN), /and 2 others/);
});

test('doctor says what is missing, what is lost without it and how to get it', () => {
  const text = renderDoctor({ kernel: '6.1.0', probes: PROBES }, PLAIN);
  for (const part of ['3 of 4 probes', 'MISSING  exec-bpf', 'why: attaching', 'without it: ', 'to get it: ']) assert.ok(text.includes(part), part);
  assert.match(renderDoctor({ kernel: '6.1.0', probes: PROBES.filter((p) => p.state === 'armed') }, PLAIN), /^Everything/);
});

test('explain: one cause whole, several in short', () => {
  const knowledge = { what: 'It happens.', signs: ['a sign'], fixes: ['a fix'], functions: ['f1', 'f2'], reasons: ['R'], errnos: ['EPERM'], versions: ['since 5.17'], sources: ['ip(7)'] };
  const one = renderExplain({ about: 'cause', title: 'a.b: title', text: '', causes: [{ id: 'a.b', title: 't', knowledge }] }, PLAIN);
  for (const part of ['It happens.', '  - a sign', '  - a fix', '  f1, f2', 'since 5.17', 'ip(7)']) assert.ok(one.includes(part), part);
  const two = renderExplain({ about: 'errno', title: 'EPERM', text: 'Refused.', causes: [{ id: 'a.b', title: 't', knowledge }, { id: 'c.d', title: 'u', knowledge }] }, PLAIN);
  assert.ok(two.includes('a.b  t') && two.includes('c.d  u') && !two.includes('a sign') && two.includes('whydrop explain a.b'));
});

test('sequence diagrams: columns where they fit, a list where they do not', () => {
  const lines = diagramLines(raceDiagram, 90, true, (t) => t);
  assert.ok(lines.every((l) => columns(l) <= 90));
  assert.ok(lines.some((l) => l.includes('✗ confirm A')) && lines.some((l) => l.includes('▶')) && lines.some((l) => l.includes('◀')));
  assert.match(diagramLines(raceDiagram, 60, true, (t) => t)[0]!, /^1\. /);
  assert.ok(renderIncident(insertRace, { ...PLAIN, diagram: raceDiagram }).includes('How the race went'));
});

test('what a stream and an environment allow', () => {
  const tty = { isTTY: true, columns: 120 };
  assert.deepEqual(terminalOptions(tty, { LANG: 'de_DE.UTF-8' }), { width: 120, colour: true, unicode: true });
  assert.deepEqual(terminalOptions(tty, { LANG: 'de_DE.UTF-8', LC_ALL: 'C', NO_COLOR: '1' }), { width: 120, colour: false, unicode: false });
  assert.deepEqual(terminalOptions({}, { LC_CTYPE: 'C.utf8' }), { width: 100, colour: false, unicode: true });
  assert.equal(terminalOptions(tty, { NO_COLOR: '', TERM: 'xterm' }).colour, true);
  assert.equal(terminalOptions(tty, { TERM: 'dumb' }).colour, false);
  assert.equal(terminalOptions(tty, {}, true).colour, false);
});
