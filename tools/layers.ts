/**
 * The arrow, enforced: who may import whom. Run by `npm run check`; prints each import that goes the wrong way.
 * Type imports count too: a layer that knows another's types knows the layer.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const root = new URL('..', import.meta.url).pathname;

/** Folder → folders it may import. A folder may always import itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  formats: ['base', 'model'],
  bpf: ['base', 'model', 'formats'],
  sources: ['base', 'model', 'formats', 'bpf'],
  recording: ['base', 'model', 'formats'],
  timeline: ['base', 'model', 'formats', 'bpf'],
  evidence: ['base', 'model', 'formats'],
  causes: ['base', 'model', 'evidence'],
  diagnose: ['base', 'model', 'evidence', 'causes'],
  report: ['base', 'model'],
  views: ['base', 'model', 'report'],
  exports: ['base', 'model', 'report', 'formats'],
  app: ['base', 'model', 'formats', 'bpf', 'sources', 'recording', 'timeline', 'evidence', 'causes', 'diagnose', 'report', 'views', 'exports'],
};

/** Who may touch the world. Everything else is a function of its input. */
const MAY_TOUCH_NODE: Readonly<Record<string, readonly RegExp[]>> = {
  sources: [/^node:/, /^koffi$/],
  recording: [/^node:(fs|zlib|path|buffer|stream.*|crypto)$/],
  views: [/^node:/, /./],
  exports: [/^node:(zlib|buffer)$/, /^[^n]/],
  app: [/^node:/, /./],
  report: [/^node:util$/],
};

/** koffi only behind the one door. */
const KOFFI = /^sources\/sys\//;

/** What past the source would make a replay differ from the live run. */
const IMPURE = /\b(Date\.now\(|new Date\(\)|Math\.random\(|process\.(env|hrtime)|performance\.now\()/;
const PURE = new Set(['base', 'model', 'formats', 'bpf', 'timeline', 'evidence', 'causes', 'diagnose', 'report']);

/** Debt: exceptions with an owner and a reason. Empty is the goal. */
const DEBT: readonly string[] = [];

export function wrongImports(files: readonly { readonly path: string; readonly text: string }[]): string[] {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    const layer = path.split('/')[0] ?? '';
    const allowed = MAY_IMPORT[layer];
    if (allowed === undefined) {
      wrong.push(`${path}: the folder ${layer} is not in the table`);
      continue;
    }
    for (const match of text.matchAll(/^\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm)) {
      const target = match[1] ?? match[2] ?? match[3] ?? '';
      if (target.startsWith('.')) {
        const other = normalize(join(dirname(path), target)).split('/')[0] ?? '';
        if (other !== layer && !allowed.includes(other)) wrong.push(`${path}: ${layer} may not import ${other} (${target})`);
      } else if (target === 'koffi' ? !KOFFI.test(path) : !(target === 'ipaddr.js' || (MAY_TOUCH_NODE[layer] ?? []).some((ok) => ok.test(target)))) {
        wrong.push(`${path}: ${layer} may not import ${target}`);
      }
    }
    if (PURE.has(layer)) {
      const line = text.split('\n').find((l) => IMPURE.test(l) && !/^\s*(\*|\/\/|\/\*)/.test(l));
      if (line !== undefined) wrong.push(`${path}: ${layer} is deterministic, but: ${line.trim()}`);
    }
  }
  return wrong.filter((w) => !DEBT.includes(w));
}

if (import.meta.main) {
  const files = readdirSync(`${root}src`, { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && f.name.endsWith('.ts'))
    .map((f) => join(f.parentPath, f.name))
    .map((file) => ({ path: relative(`${root}src`, file), text: readFileSync(file, 'utf8') }));
  const wrong = wrongImports(files);
  for (const line of wrong) console.error(line);
  console.log(`layers: ${files.length} files, ${wrong.length} wrong imports`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
