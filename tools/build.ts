/** Bundles the command line into dist/whydrop.js; koffi, the one native module, and other dependencies stay outside. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
// the pages of `whydrop serve`: in the package, so that a browser asks nobody else
await build({
  entryPoints: { app: `${root}web/main.tsx` },
  outdir: `${aside}/web`,
  bundle: true,
  minify: true,
  platform: 'browser',
  target: ['es2023', 'chrome111', 'firefox114', 'safari16.4'],
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  tsconfig: `${root}web/tsconfig.json`,
  legalComments: 'none',
  logLevel: 'warning',
});
mkdirSync(`${root}dist/web`, { recursive: true });
writeFileSync(`${aside}/web/licenses.txt`, ['uplot', 'preact', '@tanstack/virtual-core'].map((name) => `${name}\n\n${readFileSync(`${root}node_modules/${name}/LICENSE`, 'utf8')}`).join('\n\n'));
for (const file of ['index.html', 'icon.svg']) copyFileSync(`${root}web/${file}`, `${aside}/web/${file}`);
for (const file of ['licenses.txt', 'index.html', 'icon.svg', 'app.css', 'app.js']) renameSync(`${aside}/web/${file}`, `${root}dist/web/${file}`);
chmodSync(`${aside}/whydrop.js`, 0o755);
for (const file of ['whydrop.js.map', 'whydrop.js']) renameSync(`${aside}/${file}`, `${root}dist/${file}`);
rmSync(aside, { recursive: true });
