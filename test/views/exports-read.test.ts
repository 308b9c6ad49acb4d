import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import { judged } from '../../src/app/judged.ts';
import { chromeTraceOf, foldedOf, stackCounts } from '../../src/exports/index.ts';
import { readRecording } from '../../src/recording/file.ts';
import { browser, root, skip } from './web-browser.ts';

/* Stacks and traces in a viewer that others wrote: speedscope, offline, in a real Chromium. */
const viewer = `${root}node_modules/speedscope/dist/release/index.html`;
const missing = skip !== false ? skip : existsSync(viewer) ? false : 'speedscope is not installed (npm ci)';
const { exported } = judged(readRecording(readFileSync(`${root}fixtures/merge/host-b.whydrop`)).records, { pid: [], protocol: [], port: [], address: [], cause: [] });
const dir = mkdtempSync(join(tmpdir(), 'whydrop-viewer-'));
const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing) await close();
  rmSync(dir, { recursive: true });
});

/** Opens a file in it; whatever it complains of is in `errors`. */
async function opened(name: string, text: string): Promise<{ readonly page: Page; readonly errors: readonly string[]; readonly log: readonly string[] }> {
  const file = join(dir, name);
  writeFileSync(file, text);
  const context = await browser();
  closing.push(() => context.finish());
  const page = await context.newPage();
  const errors: string[] = [], log: string[] = [];
  page.on('dialog', (d) => {
    errors.push(d.message());
    void d.dismiss();
  });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('console', (m) => (m.type() === 'error' ? errors : log).push(m.text()));
  await page.goto(`file://${viewer}`);
  await page.locator('input[type=file]').first().setInputFiles(file);
  await page.getByText('Sandwich').click();
  await page.getByText('Symbol Name').waitFor();
  return { page, errors, log };
}

interface Row { readonly total: string; readonly self: string; readonly name: string }
const rows = async (page: Page): Promise<readonly Row[]> => (await page.locator('tr').allInnerTexts()).flatMap((text) => {
  const [total, self, ...name] = text.split('\t').map((c) => c.trim());
  return total === undefined || self === undefined || total === 'Total' ? [] : [{ total: total.replace(/ \(.*/, ''), self: self.replace(/ \(.*/, ''), name: name.join('\t') }];
});

test('folded stacks: every function with as many drops as were recorded', { skip: missing }, async () => {
  const { page, errors, log } = await opened('stacks.txt', [...foldedOf(exported)].join(''));
  assert.ok(log.includes('Importing as collapsed stack format'), log.join('\n'));
  const seen = await rows(page);
  assert.ok(seen.length > 10);
  const stacks = stackCounts(exported);
  for (const { total, self, name } of seen) {
    const having = stacks.filter((s) => s.cause === name || s.frames.includes(name));
    assert.equal(Number(total), having.reduce((n, s) => n + s.count, 0), name);
    assert.equal(Number(self), having.reduce((n, s) => n + (s.frames[0] === name ? s.count : 0), 0), name);
  }
  for (const name of ['tcp_v4_rcv', 'nft_do_chain']) assert.ok(seen.some((r) => r.name === name && Number(r.self) > 0), name);
  assert.deepEqual(errors, []);
});

test('the trace: every incident on its thread, under its namespace, as long as it was', { skip: missing }, async () => {
  const { page, errors, log } = await opened('trace.json', [...chromeTraceOf(exported)].join(''));
  assert.ok(log.includes('Importing as Trace Event Format profile'), log.join('\n'));
  const told = new Map<string, Row>();
  for (let i = 0; i < exported.incidents.length; i++) {
    const id = /incident (\w+) \(tid \d+\)/.exec(await page.locator('body').innerText())?.[1] ?? 'none';
    told.set(id, (await rows(page))[0]!);
    await page.keyboard.press('n');
    await page.waitForTimeout(150);
  }
  assert.deepEqual([...told.keys()].sort(), exported.incidents.map((i) => i.id).sort());
  for (const i of exported.incidents) {
    const { total, name } = told.get(i.id)!;
    assert.ok(name.startsWith(`${i.cause.id} {`) && name.includes(`"count":${i.count},`), name);
    const lasted = Date.parse(i.last) - Date.parse(i.first), [, number, unit] = /^([\d.]+)(ms|s|ns|µs|us)$/.exec(total) ?? [];
    const shown = Number(number) * ({ s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 } as Readonly<Record<string, number>>)[unit ?? '']!;
    assert.ok(Math.abs(shown - lasted) <= Math.max(0.02 * lasted, 0.01), `${total} for ${lasted} ms`);
  }
  assert.deepEqual(errors, []);
});
