import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mono, netnsInode } from '../../src/base/brand.ts';
import type { Sink } from '../../src/model/capture.ts';
import type { HostRecord, RawRecord } from '../../src/model/record.ts';
import type { Probes } from '../../src/app/probes.ts';
import { createSession, now } from '../../src/app/session.ts';

const NETNS = netnsInode(4_026_532_001);
const HOST: HostRecord = {
  record: 'host', time: now(), kernel: '6.18.0', machine: 'x86_64', hostname: 'blue', cpus: 2, bootId: '', realtimeOffset: 0n, dropReasons: [], syscalls: [], formats: {},
  netns: [{ inode: NETNS }], namespaces: 1, home: NETNS, netnsNames: [],
};

/** Probes of which the drop probe's first drain is when everything happens: a program starts, deletes an entry, a packet is lost, a call fails. */
function probes(): Probes {
  let happened = false;
  const order = { exec: 1n, netlink: 2n, 'drop-sample': 3n, call: 4n } as const;
  const given = new Set<string>();
  const start = now();
  const probe = (id: string, record: keyof typeof order) => ({
    id,
    drain: (sink: Sink) => {
      if (record === 'drop-sample') happened = true;
      if (!happened || given.has(id)) return 0;
      given.add(id);
      const time = mono(start + order[record]);
      sink(record === 'netlink' ? { record, time, netns: NETNS, group: 'conntrack', bytes: new Uint8Array(0) } : { record, time, bytes: new Uint8Array(0) });
      return 1;
    },
    close: () => {},
  });
  const drops = { ...probe('drop-bpf', 'drop-sample'), readCounts: () => undefined };
  return {
    drops, dropsByTracefs: undefined, states: [], knowledge: { dropReasons: [], syscalls: [], formats: {} },
    armed: [drops, probe('calls-bpf', 'call'), probe('exec-bpf', 'exec'), probe('conntrack-events', 'netlink')],
    snapshots: { ask: async (question) => ({ record: 'answer', time: now(), question, body: '' }), owns: () => false, close: () => {} },
    close: () => {},
  };
}

test('whoever made a drop is known when it is judged: its start and what it deleted are drained after the drop; its call later', async () => {
  const records: RawRecord[] = [];
  const session = createSession({ host: HOST, probes: probes(), netns: [NETNS], filter: { pids: [], protocols: [], ports: [], addresses: [] }, onlyCauses: [], listener: { record: (r) => void records.push(r) }, keep: () => true });
  session.run();
  const seen = (): string[] => records.map((r) => r.record);
  while (!seen().includes('call')) await new Promise((done) => setTimeout(done, 5));
  await session.stop();
  const first = records.slice(0, records.findIndex((r) => r.record === 'tick'));
  assert.deepEqual(first.map((r) => r.record), ['exec', 'netlink', 'drop-sample']);
  assert.ok(seen().indexOf('call') > seen().indexOf('drop-sample'));
});
