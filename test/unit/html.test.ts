import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable } from '../../src/base/text.ts';
import type { Incident } from '../../src/model/incident.ts';
import type { ReportInput } from '../../src/report/index.ts';
import { renderReport } from '../../src/views/html/index.ts';
import { EVIL, hostile, INCIDENTS, insertRace, noListener, REPORT, ruleDrop } from '../fixtures-incidents.ts';

const VOID = new Set(['meta', 'br', '!doctype']);

interface Page {
  readonly tags: readonly { readonly name: string; readonly attributes: ReadonlyMap<string, string> }[];
  readonly text: string;
}

/** Reads the page as strictly as XML: every tag closed in order, every attribute quoted, every `<` and `&` in its place. */
function parse(page: string): Page {
  const tags: { name: string; attributes: Map<string, string> }[] = [];
  const open: string[] = [];
  let text = '';
  let rest = page;
  while (rest !== '') {
    const style = /^<style>([^<]*)<\/style>/.exec(rest);
    if (style !== null) {
      tags.push({ name: 'style', attributes: new Map() });
      rest = rest.slice(style[0].length);
      continue;
    }
    const end = /^<\/([a-z0-9]+)>/.exec(rest);
    if (end !== null) {
      assert.equal(open.pop(), end[1], `closed in order near ${rest.slice(0, 80)}`);
      rest = rest.slice(end[0].length);
      continue;
    }
    const tag = /^<(!DOCTYPE|[a-z][a-z0-9]*)((?: [A-Za-z][A-Za-z0-9-]*(?:="[^"<>]*")?)*)\/?>/.exec(rest);
    if (tag !== null) {
      const name = tag[1]!.toLowerCase();
      const attributes = new Map<string, string>();
      for (const [, key = '', value = ''] of tag[2]!.matchAll(/ ([A-Za-z][A-Za-z0-9-]*)(?:="([^"<>]*)")?/g)) {
        assert.ok(!attributes.has(key.toLowerCase()), `${key} twice in ${tag[0]}`);
        attributes.set(key.toLowerCase(), value);
      }
      tags.push({ name, attributes });
      if (!tag[0].endsWith('/>') && !VOID.has(name)) open.push(name);
      rest = rest.slice(tag[0].length);
      continue;
    }
    const words = /^(?:[^<&>]|&#\d+;)+/.exec(rest);
    assert.ok(words !== null, `neither tag nor text: ${rest.slice(0, 80)}`);
    text += words[0];
    rest = rest.slice(words[0].length);
  }
  assert.deepEqual(open, []);
  return { tags, text: text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))) };
}

/** Nothing that runs, loads or leads away. */
function harmless({ tags }: Page): void {
  const allowed = new Set(['!doctype', 'html', 'head', 'meta', 'title', 'style', 'body', 'header', 'nav', 'main', 'footer', 'section', 'article', 'figure', 'details', 'summary', 'div', 'span', 'p', 'b', 'h1', 'h2', 'h3', 'h4', 'ul', 'ol', 'li', 'dl', 'dt', 'dd', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'pre', 'code', 'a', 'br', 'svg', 'g', 'rect', 'line', 'path', 'circle', 'text']);
  for (const { name, attributes } of tags) {
    assert.ok(allowed.has(name), name);
    for (const [key, value] of attributes) {
      assert.ok(!key.startsWith('on') && !['style', 'src', 'srcset', 'action', 'xlink:href'].includes(key), `${name} ${key}`);
      if (key === 'href') assert.match(value, /^#(i-[A-Za-z0-9-]*|losses|when|why|where|unseen)$/);
    }
  }
}

test('one file that asks for nothing and runs nothing; the policy names the hash of the style sheet', () => {
  const page = renderReport(REPORT);
  harmless(parse(page));
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!;
  const hash = createHash('sha256').update(style).digest('base64');
  assert.ok(page.includes(`content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"`));
  assert.doesNotMatch(style, /url\(|@import|expression/);
  assert.doesNotMatch(page, /https?:/);
});

test('every incident is there: verdict, commands to the letter, evidence, what was ruled out, what cannot be told', () => {
  const { text } = parse(renderReport({ ...REPORT, incidents: INCIDENTS.filter((i) => i !== hostile) }));
  for (const incident of INCIDENTS.filter((i) => i !== hostile && i.severity !== 'info')) {
    const words = [incident.explanation, incident.culprit.text, ...incident.remedies.flatMap((r) => [r.text, r.command ?? '', r.undo ?? '']), ...incident.evidence.map((e) => e.text), ...incident.ruledOut.map((r) => r.because), ...incident.cannotTell.map((c) => c.wouldTell), ...(incident.where.stack ?? [])];
    for (const part of words) assert.ok(text.includes(printable(part)), `${incident.id}: ${part}`);
  }
});

test('what is no count is not followed by one', () => {
  const { text } = parse(renderReport({ ...REPORT, losses: [{ source: 'clock', count: 0, text: 'host-b was 2 s ahead' }, { source: 'ring', count: 7, text: 'was full' }] }));
  assert.ok(text.includes('host-b was 2 s ahead') && !text.includes('(0)') && text.includes('was full (7)'));
});

test('links lead to incidents, ids are there once', () => {
  const { tags } = parse(renderReport(REPORT));
  const ids = tags.flatMap((t) => t.attributes.get('id') ?? []);
  const links = tags.flatMap((t) => t.attributes.get('href') ?? []);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(links.filter((l) => l.startsWith('#i-')).length, INCIDENTS.filter((i) => i.severity !== 'info').length);
  assert.ok(links.includes('#losses') && links.includes('#when') && links.includes('#unseen'));
  for (const link of links) assert.ok(ids.includes(link.slice(1)), link);
});

test('drops over time, counters, stacks and the race are drawn, each with words for those who do not see', () => {
  const { tags } = parse(renderReport(REPORT));
  const labels = tags.filter((t) => t.name === 'svg' && t.attributes.get('role') === 'img').map((t) => t.attributes.get('aria-label') ?? '');
  for (const part of ['netfilter.rule-drop: ', 'Udp RcvbufErrors went from 11 to', 'How the race went', 'Flame graph of drop stacks']) assert.ok(labels.some((l) => l.includes(part)), part);
  assert.ok(labels.every((l) => l !== ''));
});

test('what was not seen stands in every report', () => {
  const { text } = parse(renderReport(REPORT));
  for (const part of ['exec-bpf', 'EACCES', 'programs that end within milliseconds', 'bpf-ring', '3,120']) assert.ok(text.includes(part), part);
  const calm = parse(renderReport({ ...REPORT, incidents: [noListener], probes: [{ id: 'drop-bpf', state: 'armed' }], losses: [] })).text;
  assert.ok(calm.includes('no packet and no call was lost that matters') && calm.includes('every probe was armed') && calm.includes('Nobody listens on that port'));
  assert.ok(parse(renderReport({ ...REPORT, incidents: [] })).text.includes('Mind what was not seen'));
});

test('hostile names stay text', () => {
  const evilInput: ReportInput = {
    ...REPORT,
    incidents: [hostile, { ...insertRace, id: EVIL }],
    host: { hostname: EVIL, kernel: EVIL, machine: EVIL, whydrop: EVIL },
    netns: [{ inode: 1, name: EVIL }],
    probes: [{ id: EVIL, state: 'unavailable', why: EVIL, fix: EVIL, without: EVIL }],
    losses: [{ source: EVIL, count: 1, text: EVIL }],
    command: EVIL,
    timeline: { stepMs: 1000, series: [{ cause: EVIL, counts: [1] }] },
    counters: [{ name: EVIL, points: [[0, 1]] }],
    stacks: [{ cause: EVIL, frames: [EVIL], count: 1 }],
    diagrams: new Map([[hostile.id, { title: EVIL, actors: [{ id: EVIL, label: EVIL }], messages: [{ from: EVIL, to: EVIL, text: EVIL, time: EVIL, kind: 'lost' }] }]]),
  };
  const page = renderReport(evilInput);
  harmless(parse(page));
  assert.doesNotMatch(page, /<script|alert\(1\)<(?!\/)/);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(page, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
});

test('whatever is in an incident, the page is well formed', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const arbitrary = fc.record({ title: text, explanation: text, culprit: text, field: text, source: text, because: text, command: text, comm: text, flow: text, frame: text });
  fc.assert(
    fc.property(arbitrary, (a) => {
      const incident: Incident = {
        ...ruleDrop,
        id: a.title,
        cause: { id: a.because, title: a.title },
        explanation: a.explanation,
        culprit: { kind: 'rule', text: a.culprit, [a.field]: a.field },
        evidence: [{ source: a.source, time: a.source, text: a.because }],
        ruledOut: [{ cause: a.source, because: a.because }],
        remedies: [{ text: a.title, command: a.command, undo: a.command, risk: 'low' }],
        victims: [{ process: { pid: 1, comm: a.comm }, flow: { protocol: a.flow, source: a.flow, destination: a.flow }, count: 1 }],
        where: { ...ruleDrop.where, stack: [a.frame, a.frame] },
      };
      harmless(parse(renderReport({ ...REPORT, incidents: [incident] })));
    }),
    { numRuns: 150 },
  );
});

test('a day with thousands of everything stays a page that opens', () => {
  const many: Incident[] = Array.from({ length: 500 }, (_, i) => ({ ...ruleDrop, id: `n${i}`, victims: Array.from({ length: 300 }, () => ruleDrop.victims[0]!), where: { ...ruleDrop.where, stack: Array.from({ length: 200 }, (_x, f) => `f${(i * f) % 977}+0x1`) } }));
  const started = performance.now();
  const page = renderReport({ ...REPORT, incidents: many, timeline: { stepMs: 1000, series: [{ cause: 'netfilter.rule-drop', counts: Array.from({ length: 86_400 }, (_, i) => i % 7) }] } });
  assert.ok(performance.now() - started < 5000);
  assert.ok(page.length < 20_000_000, String(page.length));
  const { text } = parse(page);
  assert.ok(text.includes('400 more are only listed above') && text.includes('100 more flows are not listed'));
});

test('numbers that are none do not break the drawing', () => {
  const page = renderReport({ ...REPORT, from: 'never', to: 'never', counters: [{ name: 'c', points: [[Number.NaN, 1], [5, Number.POSITIVE_INFINITY]] }, { name: 'none', points: [] }] });
  parse(page);
  assert.doesNotMatch(page, /d="[^"]*(NaN|Infinity)/);
});
