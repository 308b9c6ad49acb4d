import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { allPids, readProcess } from '../../src/sources/process.ts';
import { armed, BUNDLE, countOf, makeNetns, NODE, NS, pause, python, PYTHON, refusedSends, sh, skip, skipWithout, start, summaryOf, type Line } from './trust-lab.ts';

/* What docs/trust.md promises, each on the live kernel. Hostile names that reach a shell: trust-hostile.test.ts; kills: trust-kill.test.ts. */

// --- 2. every loss is visible

test('stopped in the middle of a flood: what was not described is said, counts are exact, a replay says the same', { skip, timeout: 60_000 }, async () => {
  const file = `/tmp/whydrop-trust-${process.pid}.whydrop`;
  const run = await armed(['watch', '--json', '--netns', NS, '--record', file]);
  try {
    await pause(300);
    run.child.kill('SIGSTOP');
    // many counters, each with a burst of its own: the ethertype is part of the key
    const frames = Number(python(NS, `
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('lo', 0))
n = 0
for r in range(60):
    for i in range(200):
        n += s.send(bytes(12) + struct.pack('!H', 0x9100 + i) + bytes(50)) == 64
print(n)`));
    assert.equal(refusedSends(NS, 500, 9000), 500); // when the ring is full already
    run.child.kill('SIGCONT');
    await run.until('the loss', (l) => l.type === 'loss' && l['source'] === 'bpf-ring');
    await pause(200);
    const refused = 500 + refusedSends(NS, 20_000);
    const { incidents, loss } = await summaryOf(run);
    assert.equal(countOf(incidents, 'proto.unhandled'), frames);
    assert.equal(countOf(incidents, 'netfilter.rule-drop'), refused);
    const sampled = loss.find((l) => l.source === 'sampling');
    const ring = loss.filter((l) => l.source === 'bpf-ring').reduce((n, l) => n + l.count, 0);
    assert.ok(sampled !== undefined && ring > 1_000 && sampled.count > 15_000 && sampled.count + ring < frames + refused, JSON.stringify(loss));
    const { stdout, status } = spawnSync(NODE, [BUNDLE, 'replay', '--json', file], { encoding: 'utf8', maxBuffer: 1 << 27 });
    assert.equal(status, 0);
    const again = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { incidents: unknown; loss: unknown };
    assert.deepEqual(again.incidents, incidents);
    assert.deepEqual(again.loss, loss);
  } finally {
    rmSync(file, { force: true });
    run.child.kill('SIGKILL');
  }
});

test('a netlink buffer that is too small for a flood of conntrack events: the number lost is said', { skip: skip || (existsSync('/usr/sbin/conntrack') ? false : 'needs conntrack'), timeout: 30_000 }, async () => {
  sh('ip', 'netns', 'exec', NS, 'iptables', '-I', 'INPUT', '-m', 'conntrack', '--ctstate', 'NEW', '-p', 'udp', '--dport', '7000:7999', '-j', 'ACCEPT');
  const { armConntrackWith } = await import('../../src/sources/conntrack/index.ts');
  const { netnsInode } = await import('../../src/base/brand.ts');
  const { statSync } = await import('node:fs');
  const probe = armConntrackWith(8 * 1024, { netns: [netnsInode(statSync(`/run/netns/${NS}`).ino)], self: process.pid });
  assert.ok(!isUnavailable(probe), isUnavailable(probe) ? probe.why : '');
  try {
    python(NS, `
import socket
for i in range(900):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', 7000 + i)); s.close()`);
    const records: { record: string; count?: number; text?: string; question?: { topic: string } }[] = [];
    while (probe.drain((r) => records.push(r as never)) > 0);
    const missed = records.filter((r) => r.record === 'missed');
    assert.equal(missed.length, 1, records.map((r) => r.record).join(' '));
    assert.ok((missed[0]?.count ?? 0) > 100, missed[0]?.text);
    assert.match(missed[0]?.text ?? '', /were lost in net:\[\d+\]; the table was read anew/);
    assert.ok(records.some((r) => r.record === 'answer' && r.question?.topic === 'conntrack-table'));
  } finally {
    probe.close();
    sh('ip', 'netns', 'exec', NS, 'iptables', '-D', 'INPUT', '1');
  }
});

// --- 3. hostile data, end to end

/** What no output may hold raw: C0 but newline, DEL, C1, line separators, bidi and zero-width characters. */
const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const clean = (text: string, what: string): void => {
  const found = RAW.exec(text);
  assert.ok(found === null, `${what}: ${JSON.stringify(text.slice(Math.max(0, (found?.index ?? 0) - 80), (found?.index ?? 0) + 40))}`);
};

test('names, comments, paths and log lines that attack: nothing raw in plain output, JSON or HTML', { skip, timeout: 60_000 }, async () => {
  const dir = mkdtempSync('/tmp/whydrop-hostile-');
  const evil = `${NS}\u001b[2J<b>\u202e`;
  const cgroup = existsSync('/sys/fs/cgroup/systemd') ? `/sys/fs/cgroup/systemd/wdtrust-${process.pid}\u001b[31m<i>.service` : undefined;
  const file = `${dir}/a.whydrop`;
  try {
    sh('ip', 'netns', 'add', evil);
    sh('ip', '-n', evil, 'link', 'set', 'lo', 'up');
    sh('ip', '-n', evil, 'link', 'add', 'e\u001b[2J<i>\u009b', 'type', 'veth', 'peer', 'name', 'p\u001b]0;x\u0007');
    for (const name of ['e\u001b[2J<i>\u009b', 'p\u001b]0;x\u0007']) sh('ip', '-n', evil, 'link', 'set', name, 'up');
    sh('ip', '-n', evil, 'addr', 'add', '10.8.8.1/24', 'dev', 'e\u001b[2J<i>\u009b');
    sh('ip', 'netns', 'exec', evil, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-m', 'comment', '--comment', '\u001b]0;owned\u0007\n<script>alert(1)</script>\u202e', '-j', 'DROP');
    if (cgroup !== undefined) mkdirSync(cgroup);
    const victim = `
import ctypes, os, socket, sys, time
cg = ${cgroup === undefined ? 'None' : JSON.stringify(cgroup)}
if cg: open(cg + '/cgroup.procs', 'w').write(str(os.getpid()))
log = open(b'${dir}/x\\x1b[31m\\xff<u>.log', 'ab', 0)
ctypes.CDLL(None).prctl(15, b'\\x1b[2J\\n<b>\\xff\\xc2\\x9b', 0, 0, 0)
log.write(b'A' * 1000000 + b'\\x1b[2J\\xff Operation not permitted\\n')
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(120):
    for to in (('10.8.8.9', 9000), ('127.0.0.1', 9), ('10.8.8.7', 55)):
        try: s.sendto(b'x', to)
        except OSError as e: log.write(b'2026-11-23 02:00:00 \\x1b]0;x\\x07<script>\\xff write UDPv4: Operation not permitted (code=1)\\r\\n')
    time.sleep(0.02)
if cg: open('/sys/fs/cgroup/systemd/cgroup.procs', 'w').write(str(os.getpid()))`;
    const json = await armed(['watch', '--json', '--netns', evil, '--record', file]);
    const plain = start(['watch', '--plain', '--netns', evil]);
    await pause(700);
    sh('nsenter', `--net=/run/netns/${evil}`, PYTHON, '-c', victim); // ip netns exec would hide the cgroups
    plain.child.kill('SIGINT');
    const { incidents } = await summaryOf(json);
    await plain.ended;
    await pause(50);
    assert.equal(countOf(incidents, 'netfilter.rule-drop'), 120, JSON.stringify(incidents.map((i) => [i.cause.id, i.count, i['culprit']])));
    assert.match(JSON.stringify(incidents), /\\u001b/, 'the data did come through, escaped');
    for (const line of json.lines) assert.ok(!RAW.test(JSON.stringify(Object.keys(line))));
    const raw = spawnSync(NODE, [BUNDLE, 'replay', '--json', file], { encoding: 'utf8', maxBuffer: 1 << 27 });
    assert.equal(raw.status, 0, raw.stderr);
    clean(raw.stdout, 'JSON');
    for (const line of raw.stdout.trimEnd().split('\n')) assert.equal(typeof (JSON.parse(line) as Line).type, 'string');
    clean(raw.stderr, 'stderr');
    assert.match(plain.text, /rule/);
    clean(plain.text, 'plain output');
    const replayed = spawnSync(NODE, [BUNDLE, 'replay', file], { encoding: 'utf8', maxBuffer: 1 << 27 });
    clean(replayed.stdout, 'replay');
    const html = `${dir}/r.html`;
    sh(NODE, BUNDLE, 'report', file, '-o', html);
    const page = readFileSync(html, 'utf8');
    clean(page, 'HTML');
    assert.doesNotMatch(page, /<script|<b>\xff|<i>[^<]*\.service|<u>\.log/i);
    assert.match(page, /&#60;(script|b|i)&#62;/);
    const unknown = spawnSync(NODE, [BUNDLE, 'explain', '\u001b[2J\u009b<b>'], { encoding: 'utf8' });
    assert.equal(unknown.status, 2);
    clean(unknown.stdout + unknown.stderr, 'explain');
  } finally {
    spawnSync('ip', ['netns', 'del', evil]);
    if (cgroup !== undefined) spawnSync('rmdir', [cgroup]);
    rmSync(dir, { recursive: true, force: true });
  }
});

// --- 4. least privilege

const as = (...capabilities: readonly string[]): readonly string[] => {
  const list = ['-all', ...capabilities.map((c) => `+${c}`)].join(',');
  return ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', `--inh-caps=${list}`, `--ambient-caps=${list}`];
};
const doctorAs = (...capabilities: readonly string[]): Map<string, { state: string; why?: string; fix?: string }> => {
  const text = sh('ip', 'netns', 'exec', NS, ...as(...capabilities), NODE, BUNDLE, 'doctor', '--json');
  return new Map((JSON.parse(text) as { probes: { id: string; state: string; why?: string; fix?: string }[] }).probes.map((p) => [p.id, p]));
};

test('without root, with four capabilities: the own namespace is watched, with rule, owner and count', { skip: skipWithout('/usr/bin/setpriv'), timeout: 30_000 }, async () => {
  const run = await armed(['watch', '--json'], ['ip', 'netns', 'exec', NS, ...as('bpf', 'perfmon', 'net_admin', 'syslog')]);
  const refused = refusedSends(NS, 40);
  await run.until('an incident', (l) => l.type === 'incident');
  const { incidents } = await summaryOf(run);
  const incident = incidents.find((i) => i.cause.id === 'netfilter.rule-drop');
  assert.equal(incident?.count, refused);
  assert.match((incident?.['culprit'] as { text: string }).text, /--dport 9000 -j DROP/);
  assert.match((incident?.['victims'] as { process?: { comm: string } }[])[0]?.process?.comm ?? '', /^python3/);
});

test('doctor names exactly the capability that is missing, and for what', { skip: skipWithout('/usr/bin/setpriv'), timeout: 30_000 }, () => {
  const full = doctorAs('bpf', 'perfmon', 'net_admin', 'syslog');
  for (const id of ['drop-bpf', 'calls-bpf', 'exec-bpf', 'conntrack-events', 'read-nft', 'read-iptables', 'read-kernel-log', 'symbols']) assert.equal(full.get(id)?.state, 'armed', id);
  const noPerfmon = doctorAs('bpf', 'net_admin', 'syslog');
  assert.match(noPerfmon.get('drop-bpf')?.fix ?? '', /also with CAP_PERFMON$/);
  assert.equal(noPerfmon.get('conntrack-events')?.state, 'armed');
  const noBpf = doctorAs('perfmon', 'net_admin', 'syslog');
  assert.match(noBpf.get('drop-bpf')?.fix ?? '', /also with CAP_BPF$/);
  const noAdmin = doctorAs('bpf', 'perfmon', 'syslog');
  assert.equal(noAdmin.get('drop-bpf')?.state, 'armed');
  assert.match(noAdmin.get('read-nft')?.fix ?? '', /CAP_NET_ADMIN/);
  assert.match(noAdmin.get('conntrack-events')?.fix ?? '', /CAP_NET_ADMIN/);
  const noSyslog = doctorAs('bpf', 'perfmon', 'net_admin');
  assert.match(noSyslog.get('symbols')?.fix ?? '', /CAP_SYSLOG/);
  assert.match(noSyslog.get('read-kernel-log')?.fix ?? '', /CAP_SYSLOG/);
  const nothing = doctorAs();
  assert.match(nothing.get('drop-bpf')?.fix ?? '', /CAP_BPF and CAP_PERFMON$/);
});

test('replay needs no privilege and no kernel', { skip: skipWithout('/usr/bin/setpriv'), timeout: 30_000 }, async () => {
  const file = `/tmp/whydrop-trust-${process.pid}-r.whydrop`;
  const run = await armed(['watch', '--json', '--netns', NS, '--record', file]);
  refusedSends(NS, 30);
  await run.until('an incident', (l) => l.type === 'incident');
  const { incidents } = await summaryOf(run);
  try {
    sh('chmod', '644', file);
    // no /proc and no /sys either
    const out = sh('unshare', '-m', 'sh', '-c', `mount -t tmpfs none /sys && exec "$@"`, 'sh', ...as(), NODE, BUNDLE, 'replay', '--json', file);
    assert.deepEqual((JSON.parse(out.trim().split('\n').at(-1) ?? '') as { incidents: unknown }).incidents, incidents);
  } finally {
    rmSync(file, { force: true });
  }
});

// --- 5. child commands

test('an nft that hangs is reported, not waited for; its process is ended', { skip: skipWithout('/usr/bin/unshare'), timeout: 60_000 }, async () => {
  const dir = mkdtempSync('/tmp/whydrop-nft-');
  try {
    writeFileSync(`${dir}/nft`, `#!/bin/sh\necho $$ >> ${dir}/pids\nexec sleep 3600\n`, { mode: 0o755 });
    const began = performance.now();
    // in a mount namespace of its own: /usr/sbin/nft is another's only there
    const run = await armed(['watch', '--json', '--netns', NS], ['unshare', '-m', 'sh', '-c', `mount --bind ${dir}/nft /usr/sbin/nft && exec "$@"`, 'sh']);
    const refused = refusedSends(NS, 25);
    await run.until('an incident', (l) => l.type === 'incident');
    const incidentMs = performance.now() - began;
    const { incidents } = await summaryOf(run);
    assert.ok(incidentMs < 12_000, `${incidentMs} ms`);
    assert.ok(performance.now() - began < 16_000);
    assert.equal(incidents.filter((i) => /netfilter|unknown/.test(i.cause.id)).reduce((n, i) => n + i.count, 0), refused);
    const pids = readFileSync(`${dir}/pids`, 'utf8').trim().split('\n').map(Number);
    assert.ok(pids.length > 0);
    for (let i = 0; i < 30 && pids.some((pid) => existsSync(`/proc/${pid}/exe`)); i++) await pause(100);
    assert.deepEqual(pids.filter((pid) => existsSync(`/proc/${pid}/exe`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep')), []);
    const doctor = sh('unshare', '-m', 'sh', '-c', `mount --bind ${dir}/nft /usr/sbin/nft && exec "$@"`, 'sh', NODE, BUNDLE, 'doctor', '--json');
    const nft = (JSON.parse(doctor) as { probes: { id: string; state: string; why?: string }[] }).probes.find((p) => p.id === 'read-nft');
    assert.equal(nft?.state, 'unavailable');
    assert.match(nft?.why ?? '', /running nft .*no end within \d+ ms/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

// --- 6. at the same time, and under change

test('two whydrops at once count the same flood, both exactly', { skip, timeout: 30_000 }, async () => {
  const runs = await Promise.all([armed(['watch', '--json', '--netns', NS]), armed(['watch', '--json', '--netns', NS])]);
  const refused = refusedSends(NS, 30_000);
  for (const run of runs) assert.equal(countOf((await summaryOf(run)).incidents, 'netfilter.rule-drop'), refused);
});

test('a namespace deleted while it is watched: its losses stay told, the run ends well', { skip, timeout: 30_000 }, async () => {
  const name = `${NS}-gone`;
  makeNetns(name);
  try {
    const run = await armed(['watch', '--json', '--netns', name]);
    const refused = refusedSends(name, 50);
    sh('ip', 'netns', 'del', name);
    await run.until('an incident', (l) => l.type === 'incident');
    await pause(1_500);
    const { incidents } = await summaryOf(run);
    assert.equal(countOf(incidents, 'netfilter.rule-drop'), refused);
    assert.equal(await run.ended, 0);
  } finally {
    spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  }
});

test('all namespaces watched, one made and deleted meanwhile: what it lost is told', { skip, timeout: 30_000 }, async () => {
  const name = `${NS}-brief`;
  const run = await armed(['watch', '--json', '--all-netns']);
  try {
    makeNetns(name);
    const inode = Number(sh('stat', '-Lc', '%i', `/run/netns/${name}`));
    const refused = refusedSends(name, 50);
    sh('ip', 'netns', 'del', name);
    await run.until('its incident', (l) => l.type === 'incident' && (l['where'] as { netns: { inode: number } }).netns.inode === inode);
    const { incidents } = await summaryOf(run);
    const own = incidents.filter((i) => (i['where'] as { netns: { inode: number } }).netns.inode === inode);
    assert.equal(own.reduce((n, i) => n + i.count, 0), refused);
    assert.equal(await run.ended, 0);
  } finally {
    run.child.kill('SIGKILL');
    spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  }
});

test('an interface renamed while it is watched: counted on under one number', { skip, timeout: 30_000 }, async () => {
  sh('ip', '-n', NS, 'link', 'add', 'before', 'type', 'veth', 'peer', 'name', 'peer0');
  for (const dev of ['before', 'peer0']) sh('ip', '-n', NS, 'link', 'set', dev, 'up');
  const send = (dev: string, n: number): number => Number(python(NS, `
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('${dev}', 0))
n = 0
for i in range(${n}): n += s.send(bytes([255] * 6) + bytes(6) + struct.pack('!H', 0x88b5) + bytes(50)) == 64
print(n)`));
  try {
    const run = await armed(['watch', '--json', '--netns', NS]);
    const first = send('peer0', 40);
    sh('ip', '-n', NS, 'link', 'set', 'before', 'down');
    sh('ip', '-n', NS, 'link', 'set', 'before', 'name', 'after');
    sh('ip', '-n', NS, 'link', 'set', 'after', 'up');
    const second = send('peer0', 40);
    await pause(600);
    const { incidents } = await summaryOf(run);
    assert.equal(countOf(incidents, 'proto.unhandled'), first + second);
  } finally {
    spawnSync('ip', ['-n', NS, 'link', 'del', 'peer0']);
  }
});

test('processes that vanish while /proc is read are told as ended, never thrown', { skip: skip, timeout: 30_000 }, async () => {
  // each is waited for at once: one that nobody has waited for is a zombie and stays in /proc
  const churn = spawn('sh', ['-c', 'for n in 1 2 3; do (i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done) & done; wait'], { stdio: 'ignore' });
  const over = new Promise((done) => churn.once('exit', done));
  let read = 0, ended = 0, running = true;
  void over.then(() => (running = false));
  while (running) {
    const pids = allPids().slice(-40);
    await pause(read % 3); // some end between the listing and the reading, some while they are read
    for (const pid of pids) {
      const facts = readProcess(pid);
      read += 1;
      if (isUnavailable(facts)) {
        ended += 1;
        assert.equal(facts.why, 'the process has ended', facts.why);
      } else assert.ok(facts.pid === pid && facts.state !== '');
    }
  }
  assert.ok(read > 200, `${read} read`);
  assert.ok(ended > 0, `none of ${read} vanished: nothing was tested`);
});
