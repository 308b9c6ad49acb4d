import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fact } from '../../src/evidence/fact.ts';
import { fakeEvidence } from '../fake-evidence.ts';

test('two decoders put to one question keep their own values, and each decodes once', () => {
  const evidence = fakeEvidence({ answers: [[{ topic: 'kernel-log' }, '[1.0] a\n[2.0] b']] });
  let decoded = 0;
  const lines = () => fact(evidence, { topic: 'kernel-log' }, 'lines', (body) => (decoded++, String(body).split('\n')));
  const size = () => fact(evidence, { topic: 'kernel-log' }, 'size', (body) => (decoded++, { bytes: body.length }));
  assert.deepEqual(lines(), ['[1.0] a', '[2.0] b']);
  assert.deepEqual(size(), { bytes: 15 });
  assert.deepEqual(lines(), ['[1.0] a', '[2.0] b']);
  assert.deepEqual(size(), { bytes: 15 });
  assert.equal(decoded, 2);
});
