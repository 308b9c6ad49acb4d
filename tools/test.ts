/**
 * npm test [GROUP…]: unit, fuzz, replay, lab, views, kernels. Installs the Debian packages that the tests need when it
 * may. Ends with `N passed, N failed, N skipped`; a skip says why.
 */
import { existsSync, globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { installPackages } from './packages.ts';

const root = new URL('..', import.meta.url).pathname;

/** Groups in order, with how many files run side by side: what measures or makes faults runs alone. */
const GROUPS = [
  { name: 'unit', concurrency: 2, needs: [] },
  { name: 'fuzz', concurrency: 2, needs: [] },
  { name: 'replay', concurrency: 2, needs: [] },
  { name: 'lab', concurrency: 1, needs: ['root', 'packages'] },
  { name: 'views', concurrency: 1, needs: ['packages'] },
  { name: 'kernels', concurrency: 1, needs: ['packages'] },
] as const;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((w) => !GROUPS.some((g) => g.name === w));
if (unknown.length > 0) {
  console.error(`no test group ${unknown.join(', ')}; there are ${GROUPS.map((g) => g.name).join(', ')}`);
  process.exit(2);
}
const groups = GROUPS.filter((g) => wanted.length === 0 || wanted.includes(g.name));
if (groups.some((g) => (g.needs as readonly string[]).includes('packages'))) installPackages();

let passed = 0;
let failed = 0;
let skipped = 0;
const failures: string[] = [];
for (const group of groups) {
  const files = globSync(`test/${group.name}/**/*.test.ts`, { cwd: root }).map((f) => root + f).sort();
  if (files.length === 0) continue;
  const started = performance.now();
  console.log(`\n== ${group.name}: ${files.length} files`);
  await new Promise<void>((done) => {
    const stream = run({ files, concurrency: group.concurrency, cwd: root, timeout: 600_000 });
    stream.on('test:pass', (e) => {
      // suites and files are containers, not tests
      if (e.details.type === 'suite' || e.name.endsWith('.test.ts')) return;
      if (e.skip !== undefined || e.todo !== undefined) {
        skipped += 1;
        console.log(`SKIPPED ${e.name}: ${String(e.skip ?? e.todo)}`);
      } else passed += 1;
    });
    stream.on('test:fail', (e) => {
      if (e.details.type === 'suite') return;
      failed += 1;
      failures.push(`${e.name} (${e.file ?? group.name})`);
    });
    stream.compose(new spec()).on('end', done).pipe(process.stdout, { end: false });
  });
  console.log(`== ${group.name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
for (const failure of failures) console.log(`FAILED ${failure}`);
if (passed === 0 && !existsSync(`${root}test`)) failed += 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
