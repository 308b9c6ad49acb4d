import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { netnsInode } from '../../src/base/brand.ts';
import type { Question } from '../../src/model/question.ts';
import { isUnavailable, unavailableText, type Unavailable } from '../../src/model/unavailable.ts';
import { readHost, realtimeOffset } from '../../src/sources/host.ts';
import { openNetnsRegistry } from '../../src/sources/netns.ts';
import { createSnapshots } from '../../src/sources/snapshot/index.ts';
import { arptablesSaved } from '../../src/sources/snapshot/rules.ts';
import { surelyNotLoaded } from '../../src/sources/snapshot/modules.ts';

const answer = async (question: Question): Promise<string | Uint8Array | Unavailable> => {
  const snapshots = createSnapshots({ netnsPath: () => '/proc/self/ns/net' });
  const { body } = await snapshots.ask(question);
  snapshots.close();
  return body;
};
const text = async (question: Question): Promise<string> => {
  const body = await answer(question);
  assert.ok(typeof body === 'string', JSON.stringify(body));
  return body;
};
const refused = async (question: Question): Promise<Unavailable> => {
  const body = await answer(question);
  assert.ok(isUnavailable(body), String(body));
  return body;
};

test('the time of an answer lies before its reading', async () => {
  const snapshots = createSnapshots({ netnsPath: () => '/proc/self/ns/net' });
  const before = process.hrtime.bigint();
  const record = await snapshots.ask({ topic: 'clock' });
  assert.ok(record.time >= before && record.time <= process.hrtime.bigint());
  assert.deepEqual([record.record, record.question], ['answer', { topic: 'clock' }]);
  const offset = BigInt(JSON.parse(String(record.body)).realtimeMinusMonotonicNs);
  const rough = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  assert.ok(offset - rough < 50_000_000n && rough - offset < 50_000_000n);
  snapshots.close();
});

test('files of /proc/net and of the short list', async () => {
  assert.match(await text({ topic: 'proc', argument: 'net/dev' }), /^ *lo:/m);
  assert.match(await text({ topic: 'proc', argument: 'stat' }), /^cpu /);
  assert.match(await text({ topic: 'proc', argument: `${process.pid}/status` }), new RegExp(`^Pid:\\s+${process.pid}$`, 'm'));
});

test('nothing else of /proc, by no way', async () => {
  for (const argument of [undefined, '', 'net', 'net/', 'net/../self/environ', 'net/../../etc/passwd', '/etc/passwd', 'self/environ', `${process.pid}/environ`, `${process.pid}/mem`, 'net/./dev', 'net//dev', 'net/\0', 'kcore', 'sys/net/ipv4/ip_forward/..', `net/${'x'.repeat(600)}`]) {
    const no = await refused({ topic: 'proc', ...(argument === undefined ? undefined : { argument }) });
    assert.match(no.why, /^expected /, argument);
  }
  assert.equal(unavailableText(await refused({ topic: 'proc', argument: 'net/no-such-file' })), 'reading /proc/net/no-such-file: ENOENT');
});

test('sysctls, one and many', async () => {
  const one = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim();
  assert.equal(await text({ topic: 'sysctl', argument: 'net/ipv4/ip_forward' }), one);
  const lines = (await text({ topic: 'sysctl', argument: 'net/ipv4/conf/*/rp_filter' })).split('\n');
  assert.deepEqual(lines, lines.toSorted());
  assert.ok(lines.some((l) => /^net\/ipv4\/conf\/lo\/rp_filter = [0-2]$/.test(l)), lines.join());
  const several = (await text({ topic: 'sysctl', argument: 'net/ipv4/udp*mem*' })).split('\n');
  assert.ok(several.some((l) => l.startsWith('net/ipv4/udp_rmem_min = ')));
  assert.equal(await text({ topic: 'sysctl', argument: 'net/ipv4/no-such-thing*' }), '');
  for (const argument of [undefined, '', '../version', 'net/../kernel/hostname', '/etc/passwd', 'net/*/../x']) {
    assert.match((await refused({ topic: 'sysctl', ...(argument === undefined ? undefined : { argument }) })).why, /^expected /, argument);
  }
  assert.equal((await refused({ topic: 'sysctl', argument: 'net/none/*' })).unavailable, 'missing');
});

test('arguments that are none', async () => {
  for (const topic of ['process', 'log-tail', 'socket-owner'] as const) {
    for (const argument of [undefined, '', '0', '-1', '1e3', '../1', '99999999999']) {
      assert.match((await refused({ topic, ...(argument === undefined ? undefined : { argument }) })).why, /^expected /, `${topic} ${argument}`);
    }
  }
  for (const argument of [undefined, '', 'default', '-h', '10.0.0.1 --help', '10.0.0.1 -batch /etc/passwd', 'not-an-address']) {
    assert.match((await refused({ topic: 'route-get', ...(argument === undefined ? undefined : { argument }) })).why, /^expected /, argument);
  }
  assert.match((await refused({ topic: 'filter' })).why, /^expected /);
  assert.match((await refused({ topic: 'sockets', argument: 'everything' })).why, /^expected /);
});

test('a namespace that is gone is said to be', async () => {
  const snapshots = createSnapshots({ netnsPath: () => undefined });
  const { body } = await snapshots.ask({ topic: 'nft', netns: netnsInode(1) });
  assert.deepEqual(body, { unavailable: 'missing', what: 'entering network namespace net:[1]', why: 'it is gone' });
  snapshots.close();
});

test('processes: this one is among them', async () => {
  const facts = JSON.parse(await text({ topic: 'process', argument: String(process.pid) }));
  assert.equal(facts.pid, process.pid);
  const all = JSON.parse(await text({ topic: 'processes', netns: netnsInode(facts.netns) }));
  assert.ok(all.some((p: { pid: number }) => p.pid === process.pid));
  assert.ok(all.every((p: { netns: number }) => p.netns === facts.netns));
  const none = JSON.parse(await text({ topic: 'processes', netns: netnsInode(1) }));
  assert.deepEqual(none, []);
});

test('the list of namespaces holds this one', async () => {
  const own = openNetnsRegistry();
  const list = JSON.parse(await text({ topic: 'netns-names' }));
  assert.ok(list.some((e: { inode: number; pid?: number; name?: string }) => e.inode === own.own.inode && (e.pid !== undefined || e.name !== undefined)));
  own.close();
});

test('a module is not loaded only where that is certain', () => {
  const folder = mkdtempSync(`${tmpdir()}/wdp-modules-`);
  const files = { loaded: `${folder}/modules`, builtIn: `${folder}/modules.builtin` };
  assert.equal(surelyNotLoaded('nf_tables', files), false); // neither list is there
  writeFileSync(files.loaded, 'ip_set 57344 1 ip_set_hash_ip, Live 0x0000000000000000\n');
  assert.equal(surelyNotLoaded('nf_tables', files), false); // it may be built in
  writeFileSync(files.builtIn, 'kernel/net/xfrm/xfrm_user.ko\nkernel/net/some-thing.ko\n');
  assert.equal(surelyNotLoaded('nf_tables', files), true);
  assert.equal(surelyNotLoaded('ip_set', files), false);
  assert.equal(surelyNotLoaded('ip', files), true);
  assert.equal(surelyNotLoaded('xfrm_user', files), false);
  assert.equal(surelyNotLoaded('some_thing', files), false);
  rmSync(folder, { recursive: true });
});

test('what a user may call a namespace', () => {
  const registry = openNetnsRegistry();
  const { own } = registry;
  const byPid = registry.resolve(String(process.pid));
  assert.ok(!isUnavailable(byPid) && byPid.inode === own.inode);
  const byPath = registry.resolve('/proc/self/ns/net');
  assert.ok(!isUnavailable(byPath) && byPath.inode === own.inode);
  const byInode = registry.resolve(`net:[${own.inode}]`);
  assert.ok(!isUnavailable(byInode) && byInode.inode === own.inode);
  assert.ok(registry.path(own.inode) !== undefined);
  for (const wrong of ['/proc/self/ns/mnt', '/etc/passwd', '/nonexistent', 'no-such-namespace-here', '4194304', 'net:[1]', '..', '']) {
    const no = registry.resolve(wrong);
    assert.ok(isUnavailable(no), wrong);
  }
  const kind = registry.resolve('/proc/self/ns/mnt');
  assert.ok(isUnavailable(kind) && kind.why === 'a namespace of another kind');
  registry.close();
});

test('the host', () => {
  const host = readHost({ dropReasons: [], syscalls: [], formats: {}, netns: [], namespaces: 1, home: netnsInode(1), netnsNames: [] });
  assert.equal(host.kernel, readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim());
  assert.match(host.bootId, /^[0-9a-f-]{36}$/);
  assert.ok(host.cpus >= 1);
  const drift = realtimeOffset() - host.realtimeOffset;
  assert.ok(drift < 10_000_000n && drift > -10_000_000n);
});

test('a legacy arptables listing in the form of arptables-save', () => {
  const listing = 'Chain INPUT (policy ACCEPT 12 packets, 336 bytes)\n-j DROP -i * -o * -s 10.9.0.9 , pcnt=3 -- bcnt=84 \n-j mine -i eth0 -o * , pcnt=0 -- bcnt=0 \n\nChain mine (1 references)\n';
  assert.equal(arptablesSaved('filter', listing), '# arptables (legacy)\n*filter\n:INPUT ACCEPT [12:336]\n:mine - [0:0]\n[3:84] -A INPUT -j DROP -s 10.9.0.9\n[0:0] -A INPUT -j mine -i eth0\nCOMMIT\n');
  assert.equal(arptablesSaved('filter', 'nonsense\n'), '# arptables (legacy)\n*filter\nCOMMIT\n');
});
