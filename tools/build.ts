/** Bundles the command line into dist/whydrop.js and a chunk for what only some commands need; koffi, the one native module, and other dependencies stay outside. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
// built aside and moved: another whydrop may be starting from the same checkout
const aside = `${root}dist/.${process.pid}`;
mkdirSync(aside, { recursive: true });

await build({
  entryPoints: { whydrop: `${root}src/app/main.ts`, 'recording-worker': `${root}src/app/recording-worker.ts` },
  outdir: `${aside}/node`,
  chunkNames: 'chunk-[hash]',
  splitting: true, // a command loads what it needs: half the start, and a third less memory
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
chmodSync(`${aside}/node/whydrop.js`, 0o755);
const built = readdirSync(`${aside}/node`);
for (const file of [...built.filter((f) => f !== 'whydrop.js'), 'whydrop.js']) renameSync(`${aside}/node/${file}`, `${root}dist/${file}`);
// a whydrop that runs may still load chunks of the build before
const HOUR = 3_600_000;
for (const file of readdirSync(`${root}dist`)) if (file.startsWith('chunk-') && !built.includes(file) && Date.now() - statSync(`${root}dist/${file}`).mtimeMs > HOUR) rmSync(`${root}dist/${file}`);
rmSync(aside, { recursive: true });
