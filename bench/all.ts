/** npm run bench [-- NAME…]: all benchmarks, or those named (flood, rest, scale, …). Root; gcc, bpftrace, perf for flood. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const folder = new URL('.', import.meta.url).pathname;
const NOT_BENCHMARKS = new Set(['all', 'world', 'drops-only', 'host-sysctl']);
const all = readdirSync(folder).filter((f) => f.endsWith('.ts')).map((f) => f.slice(0, -3)).filter((f) => !NOT_BENCHMARKS.has(f));
const wanted = process.argv.slice(2);
const wrong = wanted.find((w) => !all.includes(w));
if (wrong !== undefined) {
  console.error(`no benchmark ${wrong}; there are ${all.join(', ')}`);
  process.exit(2);
}
let failed = false;
for (const name of wanted.length > 0 ? wanted : all) {
  console.log(`\n== ${name}`);
  if (existsSync(`${folder}${name}.ts`) && spawnSync(process.execPath, [`${folder}${name}.ts`], { stdio: 'inherit' }).status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
