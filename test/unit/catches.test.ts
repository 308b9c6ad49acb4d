import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../../', import.meta.url).pathname;

/** The text between a brace and the one that closes it. Braces in strings come in pairs in this code. */
function block(text: string, open: number): string {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '{') depth += 1;
    else if (text[i] === '}' && --depth === 0) return text.slice(open + 1, i);
  }
  return text.slice(open + 1);
}

test('no silent catch: each one looks at the error, or says why it need not', () => {
  const silent: string[] = [];
  let seen = 0;
  for (const file of globSync('{src,web}/**/*.{ts,tsx}', { cwd: root })) {
    const text = readFileSync(root + file, 'utf8');
    for (const m of text.matchAll(/\bcatch\s*(?:\((\w+)\)\s*)?\{/g)) {
      seen += 1;
      const body = block(text, m.index + m[0].length - 1);
      const looks = m[1] !== undefined && new RegExp(`\\b${m[1]}\\b`).test(body);
      if (!looks && !/\/\/|\/\*/.test(body)) silent.push(`${file}:${text.slice(0, m.index).split('\n').length}`);
    }
    for (const m of text.matchAll(/\.catch\(\s*\(\s*\)\s*=>([^\n]*)/g)) {
      seen += 1;
      if (!/\/\//.test(m[1] ?? '')) silent.push(`${file}:${text.slice(0, m.index).split('\n').length}`);
    }
  }
  assert.ok(seen > 50, `${seen} found: the test looks at nothing`);
  assert.deepEqual(silent, []);
});
