/** npm run check: types, lint, layers, unit tests; under a minute. */
import { spawnSync } from 'node:child_process';

const root = new URL('..', import.meta.url).pathname;
const node = process.execPath;
const steps: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['types', `${root}node_modules/.bin/tsc`, ['--noEmit', '-p', root]],
  ['web types', `${root}node_modules/.bin/tsc`, ['--noEmit', '-p', `${root}web`]],
  ['lint', `${root}node_modules/.bin/oxlint`, ['--quiet', 'src', 'test', 'tools', 'lab', 'web']],
  ['layers', node, [`${root}tools/layers.ts`]],
  ['unit', node, [`${root}tools/test.ts`, 'unit']],
];

let failed = false;
for (const [name, command, args] of steps) {
  const started = performance.now();
  // the shebangs of the tools look for `node`: ours goes first
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: `${node.replace(/\/node$/, '')}:${process.env['PATH']}` } });
  console.log(`${status === 0 ? 'ok' : 'FAILED'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
