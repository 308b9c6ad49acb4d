import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cause as chainTooLong } from '../../src/causes/conntrack/chain-too-long.ts';
import { cause as dyingEntry } from '../../src/causes/conntrack/dying-entry.ts';
import { cause as insertRace } from '../../src/causes/conntrack/insert-race.ts';
import { cause as tableFull } from '../../src/causes/conntrack/table-full.ts';
import type { Cause } from '../../src/model/cause.ts';
import { BLUE, type Answered, type FakeEvidence } from '../fake-evidence.ts';
import { changed, entry, lost, rules, tableOf, udpTuple } from './conntrack-world.ts';
import { judged, sysctl } from './socket-world.ts';

/*
 * What conntrack's counters alone tell apart: no probe saw the packet's own entry (tracefs), only where it died and the
 * counters before and after.
 */
const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/counters/${name}`, import.meta.url), 'utf8');
/** Real files of 6.1 and 6.18, and the columns of 5.10 to 5.14, where chainlength was still delete_list. */
const KERNELS = [
  { kernel: '6.18.44', text: fixture('6.18-stat-nf_conntrack.txt'), chains: true },
  { kernel: '6.1.0-56-cloud-amd64', text: fixture('6.1-stat-nf_conntrack.before.txt'), chains: true },
  { kernel: '5.10.0-30-amd64', text: fixture('6.18-stat-nf_conntrack.txt').replace('chainlength', 'delete_list'), chains: false },
] as const;

/** The same file with columns of its last CPU moved. */
function moved(text: string, by: Readonly<Record<string, number>>): string {
  const lines = text.trimEnd().split('\n');
  const names = lines[0]!.trim().split(/\s+/);
  const row = lines.at(-1)!.trim().split(/\s+/);
  for (const [name, n] of Object.entries(by)) row[names.indexOf(name)] = (Number.parseInt(row[names.indexOf(name)]!, 16) + n).toString(16).padStart(8, '0');
  return `${[...lines.slice(0, -1), row.join(' ')].join('\n')}\n`;
}

const STAT = { topic: 'proc', netns: BLUE, argument: 'net/stat/nf_conntrack' } as const;
const crowd = Array.from({ length: 40 }, (_, i) => entry(udpTuple('10.0.1.2', 1000 + i, '10.0.2.2', 9000)));
const full: readonly Answered[] = [sysctl('net/netfilter/nf_conntrack_max', '40'), sysctl('net/netfilter/nf_conntrack_count', '40'), sysctl('net/netfilter/nf_conntrack_buckets', '1024', 4026531840 as typeof BLUE), [{ topic: 'kernel-log' }, '']];

const SIGNATURES: readonly { readonly what: string; readonly by: Readonly<Record<string, number>>; readonly at: 'POSTROUTING' | 'OUTPUT'; readonly guilty?: Cause; readonly chains?: true }[] = [
  { what: 'a lost clash', by: { insert_failed: 1, drop: 1 }, at: 'POSTROUTING', guilty: insertRace },
  { what: 'a full table', by: { drop: 1 }, at: 'OUTPUT', guilty: tableFull },
  { what: 'a dying entry', by: { insert_failed: 1 }, at: 'POSTROUTING', guilty: dyingEntry },
  { what: 'a long chain', by: { insert_failed: 1, chainlength: 1 }, at: 'POSTROUTING', guilty: chainTooLong, chains: true },
  { what: 'a harmless resolved clash', by: { clashres: 3 }, at: 'POSTROUTING' },
  { what: 'nothing', by: {}, at: 'POSTROUTING' },
  { what: 'a harmless resolved clash at OUTPUT', by: { clashres: 1 }, at: 'OUTPUT' },
];

for (const { kernel, text, chains } of KERNELS)
  for (const s of SIGNATURES) {
    if (s.chains === true && !chains) continue;
    test(`${kernel}: ${s.what} is ${s.guilty?.id ?? 'no cause of conntrack'} by its counters, and nothing else`, () => {
      const tuple = udpTuple('10.99.0.2', 1194, '10.99.0.1', 1194);
      const world: FakeEvidence = {
        host: { kernel }, before: [[STAT, text]], answers: [[STAT, moved(text, s.by)], ...rules(), tableOf(crowd), ...full],
        conntrackEvents: [changed('new', entry(tuple), 0, 1)],
      };
      const outcomes = [insertRace, tableFull, dyingEntry, chainTooLong].map((cause) => [cause.id, judged(cause, lost(s.at, undefined, { probe: 'tracefs' }), world).outcome === 'found']);
      assert.deepEqual(outcomes, [insertRace, tableFull, dyingEntry, chainTooLong].map((cause) => [cause.id, cause === s.guilty]));
    });
  }
