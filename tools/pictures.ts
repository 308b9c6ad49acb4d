/**
 * The pictures of docs/pictures, from the real product: the live screen (in tmux) and the page (in Chromium) beside a lab
 * fault, and the report of a recording of such a fault. Root, tmux, chromium. `node tools/run.mjs tools/pictures.ts`
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { html } from '../src/base/text.ts';
import { browser, root, served, type Served } from '../test/views/web-browser.ts';

const CAUSE = 'conntrack.insert-race';
const SESSION = `whydrop-pictures-${process.pid}`;
const COLUMNS = 110, ROWS = 34;
const folder = `${root}docs/pictures`;
const tmux = (...args: readonly string[]): string => execFileSync('tmux', args, { encoding: 'utf8', stdio: 'pipe' });
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** The 16 colours of a terminal with a dark ground, and the grey of `dim`. */
const COLOURS = ['#1e2127', '#e06c75', '#98c379', '#d7a45b', '#61afef', '#c678dd', '#56b6c2', '#c8ccd4', '#7f848e', '#f07c85', '#a8d389', '#e5c07b', '#71bfff', '#d688ed', '#66c6d2', '#ffffff'];
const GROUND = '#16181d';

/** Text with SGR sequences as one `<pre>`: only what the live screen uses. */
function terminal(text: string): string {
  let [bold, dim, inverse] = [false, false, false];
  let colour: string | undefined;
  const parts: string[] = [];
  for (const part of text.split(/(\x1b\[[\d;]*m)/)) {
    const codes = /^\x1b\[([\d;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      const ink = colour ?? COLOURS[7]!;
      parts.push(`<span style="${inverse ? `background:${ink};color:${GROUND}` : `color:${ink}`}${bold ? ';font-weight:700' : ''}${dim ? ';opacity:.62' : ''}">${part.split('\n').map(html).join('\n')}</span>`);
      continue;
    }
    const numbers = codes.split(';').map(Number);
    for (let i = 0; i < numbers.length; i++) {
      const n = numbers[i]!;
      if (n === 0) [bold, dim, inverse, colour] = [false, false, false, undefined];
      else if (n === 1) bold = true;
      else if (n === 2) dim = true;
      else if (n === 7) inverse = true;
      else if (n === 22) [bold, dim] = [false, false];
      else if (n === 27) inverse = false;
      else if (n === 39) colour = undefined;
      else if (n >= 30 && n <= 37) colour = COLOURS[n - 30];
      else if (n >= 90 && n <= 97) colour = COLOURS[n - 82];
      else if (n === 38 && numbers[i + 1] === 5) {
        colour = COLOURS[numbers[i + 2] ?? 7] ?? COLOURS[7];
        i += 2;
      }
    }
  }
  return `<!DOCTYPE html><meta charset="utf-8"><body style="margin:0;background:${GROUND}"><pre style="display:inline-block;margin:0;padding:18px 22px;font:14px/1.32 'DejaVu Sans Mono',monospace">${parts.join('')}</pre>`;
}

mkdirSync(folder, { recursive: true });
tmux('new-session', '-d', '-s', SESSION, '-x', String(COLUMNS), '-y', String(ROWS), `${root}whydrop lab run ${CAUSE} --watch`);
const context = await browser();
let server: Served | undefined;
try {
  let netns: string | undefined;
  for (let i = 0; i < 100 && netns === undefined; i++) {
    await pause(500);
    netns = /whylab\d+-a/.exec(tmux('capture-pane', '-t', SESSION, '-p'))?.[0];
  }
  if (netns === undefined) throw new Error(`the live screen did not come: ${tmux('capture-pane', '-t', SESSION, '-p')}`);
  server = await served('--netns', netns);
  const page = await context.newPage();
  await page.setViewportSize({ width: 1060, height: 900 });
  await page.goto(server.link);
  await page.locator('a.incident', { hasText: 'raced' }).first().waitFor({ timeout: 60_000 });
  await pause(10_000);
  await page.screenshot({ path: `${folder}/page.png` });
  await page.locator('a.incident', { hasText: 'raced' }).first().click();
  await page.waitForSelector('article h1');
  await pause(1_000);
  await page.screenshot({ path: `${folder}/incident.png` });
  await page.setViewportSize({ width: 1060, height: 900 });
  const report = join(mkdtempSync(join(tmpdir(), 'whydrop-pictures-')), 'report.html');
  execFileSync(`${root}whydrop`, ['report', `${root}fixtures/recordings/insert-race-flood.whydrop`, '-o', report], { stdio: 'pipe' });
  await page.goto(`file://${report}`);
  await page.screenshot({ path: `${folder}/report.png` });
  rmSync(dirname(report), { recursive: true });
  await page.setViewportSize({ width: 400, height: 400 });
  await page.goto('about:blank');
  await page.setContent(terminal(tmux('capture-pane', '-t', SESSION, '-p', '-e').replace(/\n+$/, '')));
  await page.locator('pre').screenshot({ path: `${folder}/terminal.png` });
} finally {
  await server?.stop();
  await context.finish();
  tmux('send-keys', '-t', SESSION, 'q');
  await pause(4_000);
  try {
    tmux('kill-session', '-t', SESSION);
  } catch (error) {
    if (!/can't find session|no server running/.test(String((error as { stderr?: string }).stderr))) throw error; // it has ended with its program
  }
}
