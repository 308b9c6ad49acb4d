import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { renderReport } from '../../src/views/html/index.ts';
import { INCIDENTS, insertRace, REPORT, ruleDrop } from '../fixtures-incidents.ts';

/** The written report in a real browser. */
const directory = mkdtempSync(join(tmpdir(), 'whydrop-html-'));
const installed = ((): boolean => {
  try {
    execFileSync('sh', ['-c', 'command -v chromium']);
    return true;
  } catch {
    return false;
  }
})();
const skip = installed ? false : 'chromium is not installed';
after(() => rmSync(directory, { recursive: true, force: true }));

let runs = 0;
async function chromium(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars', '--enable-logging=stderr', '--allow-file-access-from-files', `--user-data-dir=${join(directory, `profile${runs++}`)}`];
  return promisify(execFile)('chromium', [...flags, ...args], { timeout: 90_000, maxBuffer: 64 << 20 });
}

function page(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return `file://${file}`;
}

test('the browser refuses nothing of it, and the policy would refuse a script', { skip }, async () => {
  const report = renderReport(REPORT);
  const clean = await chromium('--dump-dom', page('report.html', report));
  assert.ok(clean.stdout.includes('The receive buffer of the socket was full'));
  assert.doesNotMatch(clean.stderr, /Content.Security.Policy|Refused to|violates/i);
  // the same with a script smuggled in: the browser must say that it did not run it
  const smuggled = await chromium('--dump-dom', page('smuggled.html', report.replace('<main>', '<main><script>document.title = "ran"</script>')));
  assert.match(smuggled.stderr, /Content.Security.Policy/i);
  assert.doesNotMatch(smuggled.stdout, /<title>ran/);
});

test('nothing is wider than the page, from a small phone to a large screen', { skip }, async () => {
  page('report.html', renderReport(REPORT));
  const widths = [320, 390, 768, 1280, 1920];
  const probe = page('probe.html', `<body>${widths.map((w) => `<iframe src="report.html" style="width:${w}px;height:900px"></iframe>`).join('')}<script>
    onload = () => { document.body.textContent = JSON.stringify([...document.querySelectorAll('iframe')].map((f) => [f.clientWidth, f.contentDocument.documentElement.scrollWidth])); };
  </script></body>`);
  const { stdout } = await chromium('--dump-dom', '--window-size=2000,1000', probe);
  const measured = JSON.parse(/\[\[.*\]\]/.exec(stdout)?.[0] ?? '[]') as [number, number][];
  assert.deepEqual(measured.map(([width]) => width), widths);
  for (const [width, needs] of measured) assert.ok(needs <= width, `${needs} px in ${width}`);
});

test('on paper the folded parts are unfolded', { skip }, async () => {
  const folded = Array.from({ length: 12 }, (_, i) => ({ ...ruleDrop, id: `f${i}` }));
  const pages = async (name: string, text: string): Promise<number> => {
    const file = join(directory, `${name}.pdf`);
    await chromium('--no-pdf-header-footer', `--print-to-pdf=${file}`, page(`${name}.html`, text));
    return (readFileSync(file, 'latin1').match(/\/Type \/Page\b(?!s)/g) ?? []).length;
  };
  const report = renderReport({ ...REPORT, incidents: [...folded, insertRace, ...INCIDENTS.slice(0, 1)] });
  const whole = await pages('paper', report);
  const without = await pages('unfolded', report.replaceAll('<details>', '<details open>'));
  assert.ok(whole > 5);
  assert.equal(whole, without);
});
