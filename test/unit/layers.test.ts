import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongImports } from '../../tools/layers.ts';

const file = (path: string, text: string) => wrongImports([{ path, text }]);

test('imports with the arrow are allowed, against it they are named', () => {
  assert.deepEqual(file('causes/route/x.ts', "import { y } from '../../evidence/y.ts';"), []);
  assert.equal(file('causes/route/x.ts', "import { y } from '../../formats/y.ts';").length, 1);
  assert.equal(file('views/cli/x.ts', "import type { Evidence } from '../../evidence/x.ts';").length, 1, 'types count too');
  assert.equal(file('model/x.ts', "export * from '../formats/y.ts';").length, 1);
  assert.equal(file('formats/x.ts', "const { y } = await import('../sources/y.ts');").length, 1);
});

test('only sources/sys knows koffi, and only the layers that may touch the world import node', () => {
  assert.deepEqual(file('sources/sys/x.ts', "import koffi from 'koffi';"), []);
  assert.equal(file('sources/x.ts', "import koffi from 'koffi';").length, 1);
  assert.equal(file('causes/x/y.ts', "import { readFileSync } from 'node:fs';").length, 1);
  assert.deepEqual(file('sources/x.ts', "import { readFileSync } from 'node:fs';"), []);
});

test('past the source there is no clock, no chance and no environment', () => {
  for (const line of ['const t = Date.now();', 'const r = Math.random();', "const e = process.env['X'];", 'const d = new Date();']) assert.equal(file('diagnose/x.ts', line).length, 1, line);
  assert.deepEqual(file('diagnose/x.ts', '// Date.now() is not used here'), []);
  assert.deepEqual(file('app/x.ts', 'const t = Date.now();'), []);
});

test('a folder that nobody placed is named', () => {
  assert.equal(file('helpers/x.ts', '').length, 1);
});
