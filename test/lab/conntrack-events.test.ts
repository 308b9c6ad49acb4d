import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { netnsInode, type Netns } from '../../src/base/brand.ts';
import { decodeConntrackDatagram, decodeConntrackStats, decodeConntrackTable } from '../../src/formats/conntrack-message.ts';
import { decodeConntrackStat, totalOf } from '../../src/formats/nf-conntrack-stat.ts';
import type { ConntrackEvent } from '../../src/model/event.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { armConntrack, armConntrackWith, readConntrackEntry, readConntrackStats, readConntrackTable } from '../../src/sources/conntrack/index.ts';
import type { ArmedProbe } from '../../src/sources/source.ts';

/* Needs root, iproute2, nftables, conntrack, python3; works in namespaces of its own. */
const TRACKED = `wdc-ev-${process.pid}`, BARE = `wdc-bare-${process.pid}`;
const skip = process.getuid?.() !== 0 ? 'not root' : spawnSync('conntrack', ['--version']).status !== 0 ? 'no conntrack' : false;
const within = (netns: string, ...command: string[]): string => execFileSync('ip', ['netns', 'exec', netns, ...command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const inodeOf = (netns: string): Netns => netnsInode(statSync(`/run/netns/${netns}`).ino);

before(() => {
  if (skip !== false) return;
  for (const netns of [TRACKED, BARE]) {
    execFileSync('ip', ['netns', 'add', netns]);
    execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  }
  // all that makes it track connections; the receiver's answers (ICMP errors) are no part of the test
  within(TRACKED, 'nft', 'table inet t { chain o { type filter hook output priority 0; ct state new counter; }; }');
});
after(() => { if (skip === false) for (const netns of [TRACKED, BARE]) spawnSync('ip', ['netns', 'del', netns]); });

/** Connections to as many ports of 127.0.0.x. */
const FILL = `
import socket, sys
n, k = int(sys.argv[1]), 2
while n > 0:
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
  for p in range(1000, 1000 + min(n, 60000)):
    try: s.sendto(b'x', ('127.0.0.%d' % k, p))
    except OSError: pass
  n -= 60000; k += 1
`;
const fill = (netns: string, n: number): void => void within(netns, 'python3', '-c', FILL, String(n));

interface Seen {
  readonly records: RawRecord[];
  readonly events: ConntrackEvent[];
}

function drain(probe: ArmedProbe, seen: Seen): void {
  probe.drain((record) => {
    seen.records.push(record);
    if (record.record !== 'netlink') return;
    for (const e of decodeConntrackDatagram(record.bytes, record.netns, record.time)) if (e.kind === 'conntrack') seen.events.push(e);
  });
}

const count = (events: readonly ConntrackEvent[]): number => events.reduce((sum, e) => sum + (e.burst?.count ?? 1), 0);

test('20,000 entries flushed by a program of some milliseconds: all are counted, with its pid, and no event is lost', { skip }, async () => {
  const probe = armConntrack({ netns: [inodeOf(TRACKED)], self: process.pid });
  assert.ok(!isUnavailable(probe), JSON.stringify(probe));
  const seen: Seen = { records: [], events: [] };
  try {
    fill(TRACKED, 20_000);
    drain(probe, seen);
    const flush = spawn('ip', ['netns', 'exec', TRACKED, 'conntrack', '-F'], { stdio: 'ignore' }); // ip becomes conntrack: the pid stays
    await new Promise((resolve) => flush.once('exit', resolve));
    for (let i = 0; i < 20; i++) {
      drain(probe, seen);
      await sleep(10);
    }
    const fresh = seen.events.filter((e) => e.change === 'new'), gone = seen.events.filter((e) => e.change === 'destroy');
    assert.equal(count(fresh), 20_000);
    assert.equal(count(gone), 20_000);
    assert.ok(gone.every((e) => e.requester === flush.pid), `requesters ${[...new Set(gone.map((e) => e.requester))].join()} instead of ${flush.pid}`);
    assert.ok(fresh.every((e) => e.requester === 0));
    assert.ok(gone.some((e) => e.burst !== undefined) && gone.length < 10_000, 'a flood is kept small');
    assert.deepEqual(seen.records.filter((r) => r.record === 'missed'), []);
  } finally {
    probe.close();
  }
});

test('a buffer that is too small: the loss is counted and said, and the table is read anew', { skip }, async () => {
  const probe = armConntrackWith(32 * 1024, { netns: [inodeOf(TRACKED)], self: process.pid });
  assert.ok(!isUnavailable(probe));
  const seen: Seen = { records: [], events: [] };
  try {
    fill(TRACKED, 3_000);
    drain(probe, seen);
    const missed = seen.records.find((r) => r.record === 'missed');
    assert.ok(missed?.record === 'missed' && missed.source === 'conntrack-events');
    assert.equal(missed.count + count(seen.events), 3_000, missed.text);
    const table = seen.records.find((r) => r.record === 'answer');
    assert.ok(table?.record === 'answer' && table.question.topic === 'conntrack-table' && table.body instanceof Uint8Array);
    assert.equal(decodeConntrackTable(table.body).entries.length, 3_000);
    seen.events.length = seen.records.length = 0;
    within(TRACKED, 'conntrack', '-D', '-p', 'udp', '--dport', '1234');
    await sleep(50);
    drain(probe, seen);
    assert.deepEqual(seen.events.map((e) => [e.change, e.entry.original.destinationPort]), [['destroy', 1234]]);
  } finally {
    probe.close();
    within(TRACKED, 'conntrack', '-F');
  }
});

test('the table, one entry of it, and the counters', { skip }, () => {
  fill(TRACKED, 50);
  const path = `/run/netns/${TRACKED}`;
  const bytes = readConntrackTable(path);
  assert.ok(!isUnavailable(bytes));
  const table = decodeConntrackTable(bytes);
  assert.deepEqual([table.status, table.entries.length], ['complete', 50]);
  const wanted = table.entries[7]!;
  const one = readConntrackEntry(path, wanted.reply);
  assert.ok(!isUnavailable(one));
  assert.equal(decodeConntrackTable(one).entries[0]?.id, wanted.id);
  const none = readConntrackEntry(path, { ...wanted.original, destinationPort: 9 });
  assert.ok(isUnavailable(none) && none.unavailable === 'missing');
  const part = readConntrackTable(path, 1_000);
  assert.ok(!isUnavailable(part) && decodeConntrackTable(part).why === 'the table is longer than what was read');
  const stats = readConntrackStats(path);
  assert.ok(!isUnavailable(stats));
  const text = within(TRACKED, 'cat', '/proc/net/stat/nf_conntrack');
  const total = totalOf(decodeConntrackStat(text).cpus);
  const netlink = decodeConntrackStats(stats).cpus.reduce((sum, c) => sum + (c.counters.get('found') ?? 0), 0);
  assert.equal(netlink, total.get('found'));
});

test('listening and reading do not make a namespace track connections', { skip }, async () => {
  const probe = armConntrack({ netns: [inodeOf(BARE)], self: process.pid });
  assert.ok(!isUnavailable(probe));
  try {
    const table = readConntrackTable(`/run/netns/${BARE}`);
    assert.ok(!isUnavailable(table) && decodeConntrackTable(table).entries.length === 0);
    assert.ok(!isUnavailable(readConntrackStats(`/run/netns/${BARE}`)));
    fill(BARE, 100);
    await sleep(30);
    const seen: Seen = { records: [], events: [] };
    drain(probe, seen);
    assert.deepEqual(seen.events, []);
    assert.equal(within(BARE, 'cat', '/proc/sys/net/netfilter/nf_conntrack_count').trim(), '0');
  } finally {
    probe.close();
  }
});

test('a namespace that comes later is heard once it is added', { skip }, async () => {
  const probe = armConntrack({ netns: [inodeOf(BARE)], self: process.pid });
  assert.ok(!isUnavailable(probe));
  try {
    probe.addNetns?.(inodeOf(TRACKED));
    const seen: Seen = { records: [], events: [] };
    within(TRACKED, 'conntrack', '-F');
    fill(TRACKED, 5);
    await sleep(30);
    drain(probe, seen);
    assert.equal(count(seen.events.filter((e) => e.change === 'new')), 5);
    assert.ok(seen.events.every((e) => e.netns === inodeOf(TRACKED)));
  } finally {
    probe.close();
  }
});

test('no descriptor stays behind when a probe is closed', { skip }, () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let i = 0; i < 5; i++) {
    const probe = armConntrack({ netns: [inodeOf(TRACKED), inodeOf(BARE)], self: process.pid });
    assert.ok(!isUnavailable(probe));
    probe.close();
  }
  assert.equal(open(), before);
});
