import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Incident } from '../../src/model/incident.ts';
import { INCIDENTS, hostile, ruleDrop, STATE } from '../fixtures-incidents.ts';

const FILES = ['incident', 'armed', 'loss', 'summary', 'stream'] as const;

function schemas(): (name: (typeof FILES)[number]) => ValidateFunction {
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
  for (const file of FILES) ajv.addSchema(JSON.parse(readFileSync(new URL(`../../docs/json-schema/${file}.json`, import.meta.url), 'utf8')));
  return (name) => ajv.getSchema(`${name}.json`)!;
}
const schema = schemas();
// the hostile fixture breaks what a schema can forbid: multi-line commands, ids that are no ids
const GOOD = INCIDENTS.filter((i) => i !== hostile);
const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('every incident of the contract is valid, as itself and as a line of the stream', () => {
  for (const incident of GOOD) {
    for (const name of ['incident', 'stream'] as const) {
      const validate = schema(name);
      assert.ok(validate(wire(incident)), `${incident.id} ${name}: ${JSON.stringify(validate.errors)}`);
    }
  }
});

test('armed, loss and summary lines are valid', () => {
  const { kernel, netns, losses, cost } = STATE;
  const probes = STATE.probes.map(({ without, ...probe }) => (assert.notEqual(without, ""), probe));
  const lines = [
    { type: 'armed', kernel, netns, probes },
    { type: 'loss', ...losses[0] },
    { type: 'summary', incidents: GOOD, loss: losses, cost },
  ];
  for (const line of lines) {
    const validate = schema('stream');
    assert.ok(validate(wire(line)), `${line.type}: ${JSON.stringify(validate.errors)}`);
  }
});

test('what breaks the contract is refused', () => {
  const { explanation: _, ...without } = ruleDrop;
  const broken: readonly [string, unknown][] = [
    ['no explanation', without],
    ['a severity that does not exist', { ...ruleDrop, severity: 'fatal' }],
    ['a local time', { ...ruleDrop, first: '2026-11-22 23:54:01' }],
    ['confidence above one', { ...ruleDrop, confidence: 97 }],
    ['a cause id that is none', { ...ruleDrop, cause: { ...ruleDrop.cause, id: 'Firewall' } }],
    ['a culprit without text', { ...ruleDrop, culprit: { kind: 'rule' } }],
    ['a field nobody agreed on', { ...ruleDrop, colour: 'red' }],
    ['a command of two lines', { ...ruleDrop, remedies: [{ text: 'x', command: 'a\nb', risk: 'low' }] }],
    ['half a packet', { ...ruleDrop, count: 1.5 }],
  ];
  const validate = schema('incident');
  for (const [what, value] of broken) assert.ok(!validate(wire(value)), what);
  assert.ok(!schema('armed')(wire({ type: 'armed', kernel: '6.1', netns: [], probes: [{ id: 'x', state: 'unavailable' }] })), 'unavailable without why');
  assert.ok(!schema('stream')({ type: 'other' }));
});

test('the culprit keeps the fields of its kind', () => {
  const incident: Incident = { ...ruleDrop, culprit: { kind: 'rule', text: 'x', handle: 7, anything: ['a'] } };
  assert.ok(schema('incident')(wire(incident)));
});
