import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import type { Incident } from '../../src/model/incident.ts';
import { goldenPath, recordings, RECORDINGS, verdictOf } from './goldens.ts';

const CAUSES: Readonly<Record<string, string>> = { 'rule-drop': 'netfilter.rule-drop', 'no-listener': 'socket.no-listener', 'rcvbuf-full': 'socket.rcvbuf-full', 'insert-race-flood': 'conntrack.insert-race' };

test('there is a recording of each kind', () => {
  for (const name of Object.keys(CAUSES)) assert.ok(recordings.includes(`${name}.whydrop`), name);
});

for (const file of recordings) {
  test(`${file}: the same bytes give the same verdict (tools/accept-goldens.ts takes a new one)`, () => {
    const now = verdictOf(file);
    assert.equal(now, readFileSync(goldenPath(file), 'utf8'));
    assert.equal(verdictOf(file), now, 'twice in one process');
    assert.ok(statSync(`${RECORDINGS}${file}`).size < 200_000);
    const { incidents } = JSON.parse(now) as { incidents: readonly Incident[] };
    const expected = CAUSES[file.replace('.whydrop', '')];
    if (expected !== undefined) assert.equal(incidents[0]?.cause.id, expected);
  });
}
