import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { ProcessFacts } from '../../src/model/process.ts';
import { isUnavailable, type Maybe } from '../../src/model/unavailable.ts';
import { createDescriptors } from '../../src/sources/descriptors.ts';
import { readLogTails } from '../../src/sources/log-tail.ts';
import { allPids, capabilityNames, cgroupPath, namespaceInode, ownerOfCgroup, readProcess } from '../../src/sources/process.ts';

/** A /proc with one process in it, to be told what a kernel would say. */
function fakeProc(files: Readonly<Record<string, string>>, links: Readonly<Record<string, string>> = {}, pid = 77): { root: string; remove(): void } {
  const root = mkdtempSync(`${tmpdir()}/wdp-proc-`);
  for (const folder of ['ns', 'fd', 'fdinfo']) mkdirSync(`${root}/${pid}/${folder}`, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(`${root}/${pid}/${name}`, text);
  for (const [name, target] of Object.entries(links)) symlinkSync(target, `${root}/${pid}/${name}`);
  return { root, remove: () => rmSync(root, { recursive: true }) };
}

const STATUS = 'Name:\tx\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t1000\t33\t1000\t1000\nGid:\t0\t0\t0\t0\nCapEff:\t0000000000002400\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n';
const stat = (comm: string, state = 'S', ppid = 1): string => `77 (${comm}) ${state} ${ppid} 77 77 0 -1 4194560 212 0 0 0 1 2 0 0 20 0 1 0 123456 8192 80 18446744073709551615 0 0 0`;

function known(p: Maybe<ProcessFacts>): ProcessFacts {
  assert.ok(!isUnavailable(p), JSON.stringify(p));
  return p;
}

test('all fields of a process', () => {
  const proc = fakeProc(
    { stat: stat('nginx', 'T', 12), status: STATUS, cmdline: 'nginx: worker\0-c\0/etc/nginx.conf\0\0\0', cgroup: '0::/system.slice/nginx.service\n' },
    { exe: '/usr/sbin/nginx', 'ns/net': 'net:[4026532384]' },
  );
  assert.deepEqual(known(readProcess(77, proc.root)), {
    pid: 77, ppid: 12, comm: 'nginx', cmdline: 'nginx: worker -c /etc/nginx.conf', exe: '/usr/sbin/nginx', state: 'T', uid: 33, startTicks: 123456,
    cgroup: '/system.slice/nginx.service', unit: 'nginx.service', capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW'], seccomp: 2, noNewPrivs: true, netns: 4026532384,
  });
  proc.remove();
});

test('a name cannot pass for the fields behind it', () => {
  for (const comm of ['a) R 1 (b', ')', '((', 'x\nUid:\t0\t0', '\u001b[2J) Z 9', '']) {
    const proc = fakeProc({ stat: stat(comm), status: STATUS, cmdline: '', cgroup: '' });
    const p = known(readProcess(77, proc.root));
    assert.equal(p.comm, comm);
    assert.deepEqual([p.state, p.ppid, p.startTicks, p.uid], ['S', 1, 123456, 33]);
    proc.remove();
  }
});

test('a process that vanishes while it is read is missing', () => {
  for (const files of [{}, { stat: stat('x') }]) {
    const proc = fakeProc(files);
    const p = readProcess(77, proc.root);
    assert.ok(isUnavailable(p) && p.unavailable === 'missing' && p.why === 'the process has ended', JSON.stringify(p));
    proc.remove();
  }
  const proc = fakeProc({ stat: stat('x'), status: STATUS }); // the rest went meanwhile
  assert.equal(known(readProcess(77, proc.root)).cmdline, '');
  proc.remove();
  const broken = fakeProc({ stat: 'nothing here', status: STATUS });
  const p = readProcess(77, broken.root);
  assert.ok(isUnavailable(p) && p.unavailable === 'malformed');
  broken.remove();
});

test('this very process', () => {
  const p = known(readProcess(process.pid));
  assert.equal(p.ppid, process.ppid);
  assert.equal(p.uid, process.geteuid?.());
  assert.equal(p.exe, process.execPath);
  assert.ok(p.cmdline.includes(process.execArgv.at(-1) ?? ''));
  assert.equal(p.netns, namespaceInode('self'));
  assert.ok(allPids().includes(process.pid));
});

test('a stopped child and its end are told', async () => {
  const child = spawn('/bin/sleep', ['30']);
  const pid = child.pid!;
  child.kill('SIGSTOP');
  for (let i = 0; i < 200 && known(readProcess(pid)).state !== 'T'; i++) await new Promise((go) => setTimeout(go, 5));
  assert.equal(known(readProcess(pid)).state, 'T');
  const ended = new Promise((go) => child.once('exit', go));
  child.kill('SIGKILL');
  await ended;
  const p = readProcess(pid);
  assert.ok(isUnavailable(p) && p.unavailable === 'missing');
});

test('capabilities by name', () => {
  assert.deepEqual(capabilityNames('0000000000003000'), ['CAP_NET_ADMIN', 'CAP_NET_RAW']);
  assert.equal(capabilityNames('000001ffffffffff').length, 41);
  assert.deepEqual(capabilityNames('0000020000000001'), ['CAP_CHOWN', 'CAP_41']);
  assert.deepEqual(capabilityNames('0'), []);
  assert.deepEqual(capabilityNames('not hex'), []);
});

test('the telling path among the cgroups', () => {
  assert.equal(cgroupPath('0::/user.slice/user-0.slice/session-1.scope\n'), '/user.slice/user-0.slice/session-1.scope');
  assert.equal(cgroupPath('12:cpu,cpuacct:/docker/abc\n1:name=systemd:/system.slice/ssh.service\n0::/\n'), '/system.slice/ssh.service');
  assert.equal(cgroupPath('12:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n'), '/docker/abc');
  assert.equal(cgroupPath('0::/\n'), '/');
  assert.equal(cgroupPath('0::/with:colons:in/it\n'), '/with:colons:in/it');
  assert.equal(cgroupPath('garbage'), undefined);
});

test('unit and container, read from the cgroup', () => {
  const id = '3f2a91c04d11'.padEnd(64, '0');
  const cases: readonly (readonly [string, object])[] = [
    ['/system.slice/nginx.service', { unit: 'nginx.service' }],
    ['/user.slice/user-1000.slice/user@1000.service/app.slice/pipewire.service', { unit: 'pipewire.service' }],
    ['/user.slice/user-1000.slice/session-4.scope', { unit: 'session-4.scope' }],
    ['/system.slice/ssh.service/sub/cgroup', { unit: 'ssh.service' }],
    [`/system.slice/docker-${id}.scope`, { container: 'docker 3f2a91c04d11' }],
    [`/docker/${id}`, { container: 'docker 3f2a91c04d11' }],
    [`/machine.slice/libpod-${id}.scope/container`, { container: 'podman 3f2a91c04d11' }],
    [`/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-${id}.scope`, { container: 'kubernetes 3f2a91c04d11' }],
    [`/kubepods/besteffort/pod7b/${id}`, { container: 'kubernetes 3f2a91c04d11' }],
    ['/lxc.payload.web-1/system.slice/nginx.service', { container: 'lxc web-1' }],
    ['/lxc/web/init.scope', { container: 'lxc web' }],
    ['/machine.slice/machine-deb.scope', { container: 'machine deb' }],
    ['/', {}],
    ['/user.slice', {}],
  ];
  for (const [path, owner] of cases) assert.deepEqual(ownerOfCgroup(path), owner, path);
});

test('who holds a socket, also one that opened after the last look', async () => {
  const descriptors = createDescriptors();
  assert.deepEqual(await descriptors.socketOwner(4_294_967_295), { inode: 4_294_967_295, pids: [] });
  const server = createServer();
  await new Promise<void>((go) => server.listen(`\0wdp-test-${process.pid}`, go));
  const { readdirSync, readlinkSync } = await import('node:fs');
  const inodes = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  }).map(Number);
  assert.ok(inodes.length > 0);
  for (const owner of await Promise.all(inodes.map((inode) => descriptors.socketOwner(inode)))) assert.ok(owner.pids.includes(process.pid), JSON.stringify(owner));
  await new Promise((go) => server.close(go));
  const gone = await Promise.all(inodes.map((inode) => descriptors.socketOwner(inode)));
  assert.ok(gone.some((owner) => owner.pids.length === 0), 'a closed socket has no owner');
});

test('log files are those open for writing that look like logs', () => {
  const folder = mkdtempSync(`${tmpdir()}/wdp-log-`);
  const fds = [
    openSync(`${folder}/server.log`, 'a'), openSync(`${folder}/data.db`, 'a'), openSync(`${folder}/binary.log`, 'a'),
    openSync(`${folder}/long.log`, 'a'), openSync(`${folder}/gone.log`, 'a'),
  ];
  writeFileSync(`${folder}/only-read.log`, 'secret\n');
  fds.push(openSync(`${folder}/only-read.log`, 'r'), openSync(`${folder}/server.log`, 'a'));
  writeSync(fds[0]!, 'one\nwrite UDPv4: Operation not permitted (code=1)\n');
  writeSync(fds[2]!, Buffer.from([1, 0, 2]));
  for (let i = 0; i < 5_000; i++) writeSync(fds[3]!, `line ${i} of a long log\n`);
  writeSync(fds[4]!, 'last words\n');
  rmSync(`${folder}/gone.log`);
  const tails = readLogTails(process.pid);
  fds.forEach((fd) => closeSync(fd));
  assert.ok(!isUnavailable(tails));
  const mine = new Map(tails.filter((t) => t.path.startsWith(folder)).map((t) => [t.path.slice(folder.length + 1), t]));
  assert.deepEqual([...mine.keys()].sort(), ['gone.log (deleted)', 'long.log', 'server.log']);
  assert.equal(mine.get('server.log')?.text, 'one\nwrite UDPv4: Operation not permitted (code=1)\n');
  assert.equal(mine.get('gone.log (deleted)')?.text, 'last words\n');
  const long = mine.get('long.log');
  assert.ok(long !== undefined && long.text.length <= 32 * 1024 && long.size > 100_000);
  assert.match(long.text, /^line [0-9]+ of a long log\n/);
  assert.ok(long.text.endsWith('line 4999 of a long log\n'));
  rmSync(folder, { recursive: true });
  const ended = readLogTails(4_194_304 + 1);
  assert.ok(isUnavailable(ended) && ended.unavailable === 'missing');
});
