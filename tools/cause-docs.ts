/** Writes docs/causes/ from the knowledge that lives beside each cause: the same text as `whydrop explain CAUSE`. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { causes } from '../src/causes/index.ts';
import { REASONS } from '../src/causes/reasons.ts';

const folder = new URL('../docs/causes/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
for (const file of readdirSync(folder)) rmSync(folder + file);

const sorted = [...causes].sort((a, b) => (a.id < b.id ? -1 : 1));
const list = (title: string, items: readonly string[], code = false): string => (items.length === 0 ? '' : `\n## ${title}\n\n${items.map((i) => (code ? `- \`${i}\`` : `- ${i}`)).join('\n')}\n`);
for (const { id, title, knowledge: k } of sorted) {
  const reasons = k.reasons.map((r) => `\`${r}\`${REASONS[r] === undefined ? '' : `: ${REASONS[r]}`}`);
  writeFileSync(`${folder}${id}.md`, `# ${id}\n\n*${title}*\n\n${k.what}\n${list('How one notices', k.signs)}${list('What to do', k.fixes)}${list('Errors that a sender sees', k.errnos, true)}${list('Drop reasons', reasons)}${list('Kernel functions', k.functions, true)}${list('Kernel versions', k.versions)}${list('Sources', k.sources)}`);
}
writeFileSync(`${folder}README.md`, `# Causes\n\nOne page each, the same text as \`whydrop explain CAUSE\`. Written by \`npm run docs\`.\n\n| id | what happened |\n|---|---|\n${sorted.map((c) => `| [${c.id}](${c.id}.md) | ${c.title} |`).join('\n')}\n`);
console.log(`${sorted.length} causes written to docs/causes/`);
