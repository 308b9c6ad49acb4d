/** Bundles the command line into dist/whydrop.js; koffi, the one native module, and other dependencies stay outside. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
// built aside and moved: another whydrop may be starting from the same checkout
const aside = `${root}dist/.${process.pid}`;
mkdirSync(aside, { recursive: true });

await build({
  entryPoints: [`${root}src/app/main.ts`],
  outfile: `${aside}/whydrop.js`,
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  packages: 'external',
  sourcemap: 'linked',
  legalComments: 'none',
  define: { WHYDROP_VERSION: JSON.stringify(version), 'process.env.NODE_ENV': '"production"' },
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
});
chmodSync(`${aside}/whydrop.js`, 0o755);
for (const file of ['whydrop.js.map', 'whydrop.js']) renameSync(`${aside}/${file}`, `${root}dist/${file}`);
rmSync(aside, { recursive: true });
