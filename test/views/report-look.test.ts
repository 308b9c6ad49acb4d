import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { judged } from '../../src/app/judged.ts';
import { merge } from '../../src/app/merge.ts';
import { reportInput } from '../../src/app/report.ts';
import { readRecording } from '../../src/recording/file.ts';
import type { ReportInput } from '../../src/report/index.ts';
import { renderReport } from '../../src/views/html/index.ts';
import { INCIDENTS, REPORT, wide } from '../fixtures-incidents.ts';

/** How the written report looks to people: measured where it can be measured, on very different recordings. */
const root = new URL('../..', import.meta.url).pathname;
const skip = existsSync('/usr/bin/chromium') ? false : 'chromium is not installed';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'whydrop-look-'));
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const recorded = (name: string): ReportInput => reportInput(judged(readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records, ALL));

/** A name that is written from right to left, with nothing in it that turns the text round by force. */
const HEBREW = 'שלום';
const rightToLeft = { ...wide, id: 'rtl', victims: [{ process: { pid: 77, comm: HEBREW }, flow: { protocol: 'tcp', source: '10.0.0.7:40000', destination: '10.0.0.1:80' }, count: 1 }], remedies: [{ text: 'Stop it', command: `pkill -x ${HEBREW} # 1 2`, risk: 'low' as const }] };
const long = 'x'.repeat(400);
const endless = { ...wide, id: 'long', cause: { id: wide.cause.id, title: `the ${long} of ${long}` }, culprit: { kind: 'socket' as const, text: long }, where: { ...wide.where, interface: long, symbol: long, stack: [long, long] }, remedies: [{ text: long, command: `echo ${long}`, risk: 'low' as const }] };

const INPUTS: Readonly<Record<string, () => ReportInput>> = {
  'one cause, one culprit': () => recorded('rcvbuf-full'),
  'a race in the connection table': () => recorded('insert-race-flood'),
  'two hosts on one time line': () => reportInput(judged(merge(['a', 'b'].map((host) => ({ name: host, records: readRecording(readFileSync(`${root}fixtures/merge/host-${host}.whydrop`)).records }))).records, ALL)),
  'forty incidents': () => ({ ...REPORT, incidents: Array.from({ length: 40 }, (_, i) => ({ ...INCIDENTS[i % INCIDENTS.length]!, id: `m${i}` })) }),
  'nothing lost': () => ({ ...REPORT, incidents: [], losses: [], timeline: { stepMs: 1000, series: [] }, counters: [], diagrams: new Map() }),
  'names that are hostile, endless, from right to left': () => ({ ...REPORT, incidents: [endless, rightToLeft, ...INCIDENTS], counters: [{ name: long, points: [[0, 1], [1000, 5]] }] }),
};

let browser: Browser;
before(async () => {
  if (skip === false) browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
});
after(async () => {
  if (skip === false) await browser.close();
  rmSync(directory, { recursive: true, force: true });
});

async function shown<T>(input: ReportInput, look: { readonly dark?: boolean; readonly width: number }, use: (page: Page) => Promise<T>): Promise<T> {
  const file = join(directory, 'report.html');
  writeFileSync(file, renderReport(input));
  const context = await browser.newContext({ bypassCSP: true, colorScheme: look.dark === true ? 'dark' : 'light', viewport: { width: look.width, height: 844 } });
  try {
    const page = await context.newPage();
    await page.goto(`file://${file}`);
    return await use(page);
  } finally {
    await context.close();
  }
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

for (const [name, make] of Object.entries(INPUTS)) {
  test(`readable and reachable, light and dark, desk and phone: ${name}`, { skip, timeout: 240_000 }, async () => {
    const input = make();
    for (const look of [{ width: 1280 }, { width: 390, dark: true }, { width: 390 }, { width: 1280, dark: true }]) {
      await shown(input, look, async (page) => {
        await page.evaluate(axe);
        // contrast is that of WCAG AA: 4.5, large letters 3
        const violations = await page.evaluate(async () => {
          const result = await (globalThis as unknown as { axe: { run(options: unknown): Promise<{ violations: Violation[] }> } }).axe.run({ resultTypes: ['violations'] });
          return result.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 120)} ${n.failureSummary}`).join(' | ')}`);
        });
        assert.deepEqual(violations, [], JSON.stringify(look));
        const wider = await page.evaluate<{ needs: number; has: number; out: string[] }>(`(() => {
          const out = [...document.querySelectorAll('main *, header *')].filter((e) => e.closest('svg, .scroll, thead') === null && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 120));
          return { needs: document.documentElement.scrollWidth, has: innerWidth, out };
        })()`);
        assert.ok(wider.needs <= wider.has, `${wider.needs} px in ${wider.has}`);
        assert.deepEqual(wider.out, []);
      });
    }
  });
}

test('on paper: no link row, nothing cut, no heading at the foot of a page, colours are printed', { skip, timeout: 120_000 }, async () => {
  await shown(recorded('insert-race-flood'), { width: 688 }, async (page) => {
    await page.emulateMedia({ media: 'print' });
    const seen = await page.evaluate<Record<string, unknown>>(`(() => ({
      nav: getComputedStyle(document.querySelector('nav')).display,
      up: [...document.querySelectorAll('.up')].every((e) => getComputedStyle(e).display === 'none'),
      rails: getComputedStyle(document.querySelector('.rails')).display,
      needs: document.documentElement.scrollWidth,
      heads: [...document.querySelectorAll('th')].filter((th) => th.scrollWidth > th.clientWidth + 1).map((th) => th.textContent),
      tall: [...document.querySelectorAll('th')].filter((th) => th.getBoundingClientRect().height > 40).map((th) => th.textContent),
      exact: getComputedStyle(document.querySelector('.area')).getPropertyValue('print-color-adjust'),
      alone: [...document.querySelectorAll('h2, h3, h4, h2 + p.soft')].filter((h) => getComputedStyle(h).breakAfter !== 'avoid').map((h) => h.textContent),
    }))()`);
    assert.deepEqual(seen, { nav: 'none', up: true, rails: 'block', needs: 688, heads: [], tall: [], exact: 'exact', alone: [] });
  });
});

test('a name from right to left does not turn round what stands behind it, and is copied to the letter', { skip, timeout: 60_000 }, async () => {
  await shown({ ...REPORT, incidents: [rightToLeft, ...INCIDENTS.slice(0, 1)] }, { width: 1280 }, async (page) => {
    const order = await page.evaluate<number[]>(`((name) => {
      const who = [...document.querySelectorAll('.who')].find((e) => e.textContent.includes(name));
      const at = (text) => {
        const node = who.firstChild;
        const range = document.createRange();
        const start = node.textContent.indexOf(text);
        range.setStart(node, start);
        range.setEnd(node, start + text.length);
        return range.getBoundingClientRect().left;
      };
      return [at(name), at('77'), at('→'), at('10.0.0.1:80')];
    })(${JSON.stringify(HEBREW)})`);
    assert.deepEqual(order, order.toSorted((a, b) => a - b));
    assert.ok((await page.locator('pre.cmd').allTextContents()).includes(`pkill -x ${HEBREW} # 1 2`));
  });
});

test('every command, link and folded part is reached with the Tab key, and shows it', { skip, timeout: 60_000 }, async () => {
  await shown(recorded('insert-race-flood'), { width: 1280 }, async (page) => {
    const wanted = await page.locator('a[href], pre.cmd, summary, .rails').count();
    const reached = new Set<string>();
    for (let i = 0; i < wanted + 4; i++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate<{ n: number; outline: string } | undefined>(`(() => {
        const e = document.activeElement;
        if (e === document.body) return undefined;
        return { n: [...document.querySelectorAll('*')].indexOf(e), outline: getComputedStyle(e).outlineStyle };
      })()`);
      if (at === undefined) continue;
      assert.notEqual(at.outline, 'none');
      reached.add(String(at.n));
    }
    assert.equal(reached.size, wanted);
  });
});

test('the clock under the plots has round times that do not touch, on a phone too', { skip, timeout: 60_000 }, async () => {
  for (const name of ['rule-drop', 'insert-race-flood']) {
    await shown(recorded(name), { width: 390 }, async (page) => {
      const boxes = await page.evaluate<{ text: string; left: number; right: number }[]>(`[...document.querySelectorAll('.axis text')].map((t) => ({ text: t.textContent, left: t.getBoundingClientRect().left, right: t.getBoundingClientRect().right }))`);
      assert.ok(boxes.length >= 2, name);
      for (const [i, box] of boxes.entries()) {
        assert.match(box.text, /^\d\d:\d\d(:\d\d(\.\d+)?)?$/);
        assert.ok(box.left >= 0 && box.right <= 390);
        if (i > 0) assert.ok(box.left > boxes[i - 1]!.right + 4, `${boxes[i - 1]!.text} touches ${box.text}`);
      }
    });
  }
});

test('nothing moves in it', () => {
  assert.doesNotMatch(renderReport(REPORT), /transition|animation|scroll-behavior|<animate/);
});
