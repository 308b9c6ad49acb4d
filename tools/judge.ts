/**
 * npm run judge [-- FAULT…]: runs whydrop against a catalogue of real faults with ground truth (a folder with `judge` in
 * it: $WHYDROP_FAULTS, else ../shared/faults) and writes the table in docs/judge.md when the whole catalogue was run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';

interface Result {
  readonly id: string;
  readonly cause: string | null;
  readonly control: boolean;
  readonly got: string | null;
  readonly cause_ok: boolean;
  readonly culprit_ok: boolean;
  readonly fix_ok: boolean;
  readonly first_s: number | null;
  readonly note: string;
}

const root = new URL('..', import.meta.url).pathname;
const faults = process.env['WHYDROP_FAULTS'] ?? join(root, '../shared/faults');
if (!existsSync(join(faults, 'judge'))) {
  console.error(`no judge in ${faults}: set WHYDROP_FAULTS to a catalogue of faults (the project's own are in lab/, see whydrop lab list)`);
  process.exit(3);
}
const some = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'whydrop-judge-'));
const out = join(folder, 'results.json');
const { status } = spawnSync(join(faults, 'judge'), ['-j', '2', '-o', out, ...some], { cwd: root, stdio: 'inherit' });
const results = JSON.parse(readFileSync(out, 'utf8')) as readonly Result[];
rmSync(folder, { recursive: true });

if (some.length === 0) {
  const real = results.filter((r) => !r.control);
  const controls = results.filter((r) => r.control);
  const times = real.flatMap((r) => (r.first_s === null ? [] : [r.first_s])).sort((a, b) => a - b);
  const yes = (ok: boolean): string => (ok ? 'yes' : '**no**');
  writeFileSync(
    join(root, 'docs/judge.md'),
    `# The last run of the judge

\`npm run judge\`, kernel ${release()}: ${real.length} faults, right cause ${real.filter((r) => r.cause_ok).length}, culprit named ${real.filter((r) => r.culprit_ok).length}, the first remedy stops the loss ${real.filter((r) => r.fix_ok).length}; ${controls.filter((r) => r.cause_ok).length} of ${controls.length} controls (healthy traffic) quiet. Median ${times[Math.floor(times.length / 2)] ?? '-'} s from the start of the traffic to the right verdict; the traffic itself begins after 0.4 s or more.

| fault | verdict | cause | culprit | remedy | seconds |
|---|---|---|---|---|---|
${results.map((r) => `| ${r.id} | ${r.got ?? 'quiet'} | ${yes(r.cause_ok)} | ${yes(r.culprit_ok)} | ${yes(r.fix_ok)} | ${r.first_s ?? ''} |`).join('\n')}
`,
  );
}
process.exitCode = status ?? 4;
