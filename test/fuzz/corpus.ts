import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';

/* Inputs that once threw, hung or swelled: fixtures/fuzz/TARGET/HASH, `.bin` for bytes, `.json` (one string) for text. */

const folder = new URL('../../fixtures/fuzz/', import.meta.url).pathname;

export function corpusOf(target: string): readonly (Uint8Array | string)[] {
  if (!existsSync(folder + target)) return [];
  return readdirSync(folder + target).sort().map((name) => {
    const file = `${folder}${target}/${name}`;
    return name.endsWith('.json') ? (JSON.parse(readFileSync(file, 'utf8')) as string) : Uint8Array.from(readFileSync(file));
  });
}

export function keep(target: string, input: Uint8Array | string): string {
  const body = typeof input === 'string' ? `${JSON.stringify(input)}\n` : input;
  const file = `${folder}${target}/${createHash('sha256').update(body).digest('hex').slice(0, 12)}${typeof input === 'string' ? '.json' : '.bin'}`;
  mkdirSync(`${folder}${target}`, { recursive: true });
  writeFileSync(file, body);
  return file;
}
