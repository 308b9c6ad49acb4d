/**
 * npm test [GROUP…]: unit, fuzz, replay, lab, views, kernels. Installs the Debian packages that the tests need when it
 * may. Ends with `N passed, N failed, N skipped`; a skip says why.
 */
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { installPackages } from './packages.ts';

const root = new URL('..', import.meta.url).pathname;

/** Groups in order, with how many files run side by side: what measures or makes faults runs alone. */
const GROUPS = [
  { name: 'unit', concurrency: 2, again: false, needs: [] },
  { name: 'fuzz', concurrency: 2, again: false, needs: [] },
  { name: 'replay', concurrency: 2, again: false, needs: [] },
  { name: 'lab', concurrency: 1, again: true, needs: ['root', 'packages'] },
  { name: 'views', concurrency: 1, again: true, needs: ['packages'] },
  { name: 'kernels', concurrency: 1, again: true, needs: ['packages'] },
] as const;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((w) => !GROUPS.some((g) => g.name === w));
if (unknown.length > 0) {
  console.error(`no test group ${unknown.join(', ')}; there are ${GROUPS.map((g) => g.name).join(', ')}`);
  process.exit(2);
}
const groups = GROUPS.filter((g) => wanted.length === 0 || wanted.includes(g.name));
if (groups.some((g) => (g.needs as readonly string[]).includes('packages'))) installPackages();

interface Tally {
  passed: number;
  skipped: number;
  readonly failures: string[];
}

/** Runs files and prints what they do; the outcome by file. */
async function runFiles(files: readonly string[], concurrency: number): Promise<ReadonlyMap<string, Tally>> {
  const tallies = new Map<string, Tally>(files.map((file) => [file, { passed: 0, skipped: 0, failures: [] }]));
  await new Promise<void>((done) => {
    const stream = run({ files: [...files], concurrency, cwd: root, timeout: 600_000 });
    // a test that several files share is told with the file where it is written, not with the one that runs
    let running = '';
    stream.on('test:dequeue', (e) => {
      if (files.includes(e.name)) running = e.name;
    });
    const of = (written: string | undefined): Tally => {
      const file = written !== undefined && files.includes(written) ? written : running;
      const tally = tallies.get(file) ?? { passed: 0, skipped: 0, failures: [] };
      tallies.set(file, tally);
      return tally;
    };
    stream.on('test:pass', (e) => {
      // suites and files are containers, not tests
      if (e.details.type === 'suite' || e.name.endsWith('.test.ts')) return;
      if (e.skip !== undefined || e.todo !== undefined) {
        of(e.file).skipped += 1;
        console.log(`SKIPPED ${e.name}: ${String(e.skip ?? e.todo)}`);
      } else of(e.file).passed += 1;
    });
    stream.on('test:fail', (e) => {
      if (e.details.type !== 'suite') of(e.file).failures.push(`${e.name} (${e.file ?? ''})`);
    });
    stream.compose(new spec()).on('end', done).pipe(process.stdout, { end: false });
  });
  return tallies;
}

let passed = 0;
let skipped = 0;
const failures: string[] = [];
for (const group of groups) {
  const files = globSync(`test/${group.name}/**/*.test.ts`, { cwd: root }).map((f) => root + f).sort();
  if (files.length === 0) continue;
  const started = performance.now();
  console.log(`\n== ${group.name}: ${files.length} files`);
  const outcome = new Map(await runFiles(files, group.concurrency));
  // faults on a live kernel race by nature, and a busy machine stretches them: a file that failed runs once more, and it is said
  const again = group.again ? [...outcome].filter(([file, t]) => t.failures.length > 0 && files.includes(file)).map(([file]) => file) : [];
  if (again.length > 0) {
    for (const file of again) for (const failure of outcome.get(file)?.failures ?? []) console.log(`AGAIN ${failure}`);
    for (const [file, tally] of await runFiles(again, 1)) outcome.set(file, tally);
  }
  for (const tally of outcome.values()) {
    passed += tally.passed;
    skipped += tally.skipped;
    failures.push(...tally.failures);
  }
  console.log(`== ${group.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
process.exitCode = failures.length === 0 && passed > 0 ? 0 : 1;
