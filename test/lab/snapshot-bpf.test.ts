import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import type { BpfProgramFacts } from '../../src/model/bpf-program.ts';
import { createSnapshots, type Snapshots } from '../../src/sources/snapshot/index.ts';
import { openNetnsRegistry } from '../../src/sources/netns.ts';
import { ATTACH_TYPES } from '../../src/sources/sys/bpf-inventory.ts';
import { addressOf, mount, pinned, syscall, umount } from '../../src/sources/sys/ffi.ts';
import { withinNetns } from '../../src/sources/sys/netns.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';

const NR = process.arch === 'x64' ? 321 : 280;
const PROG_LOAD = 5, PROG_ATTACH = 8, PROG_DETACH = 9, LINK_CREATE = 28;
const TYPE = { sched_cls: 3, cgroup_skb: 8, netfilter: 32 } as const;
const attachType = (name: (typeof ATTACH_TYPES)[number]): number => ATTACH_TYPES.indexOf(name);

function bpf(command: number, fill: (attr: Buffer) => void): number {
  const attr = pinned(128);
  fill(attr);
  return syscall(NR, command, attr, attr.length);
}

/** `r0 = verdict; exit`. Gives a descriptor. */
function load(type: number, name: string, verdict: number, expected = 0): number {
  const code = pinned(16), license = pinned(8);
  code.set([0xb7, 0, 0, 0, verdict, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  license.write('GPL\0');
  const fd = bpf(PROG_LOAD, (a) => {
    a.writeUInt32LE(type, 0);
    a.writeUInt32LE(2, 4);
    a.writeBigUInt64LE(addressOf(code), 8);
    a.writeBigUInt64LE(addressOf(license), 16);
    a.write(name, 48, 15);
    a.writeUInt32LE(expected, 68);
  });
  assert.ok(fd > 0, `loading ${name}: ${fd}`);
  return fd;
}

const NAME = `wdp-bpf-${process.pid}`;
const hierarchy = readFileSync('/proc/self/mounts', 'utf8').split('\n').find((l) => l.split(' ')[2] === 'cgroup2')?.split(' ')[1];
let snapshots: Snapshots;

before(() => {
  execFileSync('ip', ['netns', 'add', NAME]);
  execFileSync('ip', ['-n', NAME, 'link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1']);
  const registry = openNetnsRegistry();
  snapshots = createSnapshots({ netnsPath: registry.path });
});
after(() => {
  snapshots?.close();
  execFileSync('ip', ['netns', 'delete', NAME]);
});

async function program(name: string): Promise<BpfProgramFacts | undefined> {
  const { body } = await snapshots.ask({ topic: 'bpf-programs' });
  assert.ok(typeof body === 'string', JSON.stringify(body));
  return (JSON.parse(body) as BpfProgramFacts[]).find((p) => p.name === name);
}

test('a program on a cgroup, with and without a link', { skip: hierarchy === undefined ? 'no cgroup v2 hierarchy is mounted' : false }, async () => {
  const path = `${hierarchy}/${NAME}`;
  mkdirSync(path);
  const cgroup = openSync(path, 'r');
  const fd = load(TYPE.cgroup_skb, 'wdp_egress', 1, attachType('inet_egress'));
  let link = -1;
  try {
    const unattached = await program('wdp_egress');
    assert.deepEqual([unattached?.type, unattached?.attached, unattached?.heldBy, unattached?.loadedBy], ['cgroup_skb', [], [process.pid], 0]);
    assert.match(unattached?.tag ?? '', /^[0-9a-f]{16}$/);
    const target = (a: Buffer, type: 'inet_egress' | 'inet_ingress'): void => {
      a.writeUInt32LE(cgroup, 0);
      a.writeUInt32LE(fd, 4);
      a.writeUInt32LE(attachType(type), 8);
    };
    assert.equal(bpf(PROG_ATTACH, (a) => target(a, 'inet_egress')), 0);
    assert.deepEqual((await program('wdp_egress'))?.attached, [{ where: 'cgroup', path, cgroup: `/${NAME}`, attachType: 'inet_egress' }]);
    assert.equal(bpf(PROG_DETACH, (a) => target(a, 'inet_egress')), 0);
    link = bpf(LINK_CREATE, (a) => {
      a.writeUInt32LE(fd, 0);
      a.writeUInt32LE(cgroup, 4);
      a.writeUInt32LE(attachType('inet_egress'), 8);
    });
    assert.ok(link > 0, String(link));
    const attached = (await program('wdp_egress'))?.attached ?? [];
    assert.equal(attached.length, 1);
    assert.ok(attached[0]?.where === 'cgroup' && attached[0].path === path && typeof attached[0].link === 'number', JSON.stringify(attached));
  } finally {
    if (link > 0) closeSync(link);
    closeSync(fd);
    closeSync(cgroup);
    rmdirSync(path);
  }
  assert.equal(await program('wdp_egress'), undefined);
});

test('links of tcx and netfilter, with the namespace of the former', async (t) => {
  const netns = withinNetns(`/run/netns/${NAME}`, () => {
    const filter = load(TYPE.sched_cls, 'wdp_tcx', 0), hook = load(TYPE.netfilter, 'wdp_nf', 1, attachType('netfilter'));
    const tcx = bpf(LINK_CREATE, (a) => {
      a.writeUInt32LE(filter, 0);
      a.writeUInt32LE(3, 4); // the second device made in a new namespace
      a.writeUInt32LE(attachType('tcx_egress'), 8);
    });
    const nf = bpf(LINK_CREATE, (a) => {
      a.writeUInt32LE(hook, 0);
      a.writeUInt32LE(attachType('netfilter'), 8);
      a.writeUInt32LE(2, 16); // NFPROTO_IPV4
      a.writeUInt32LE(3, 20); // NF_INET_LOCAL_OUT
      a.writeInt32LE(-50, 24);
    });
    return { filter, hook, tcx, nf };
  });
  assert.ok(!isUnavailable(netns));
  try {
    if (netns.tcx < 0 || netns.nf < 0) return t.skip(`this kernel has no such links (${netns.tcx}, ${netns.nf})`);
    const inode = Number(/\[([0-9]+)\]/.exec(execFileSync('ip', ['netns', 'exec', NAME, 'readlink', '/proc/self/ns/net'], { encoding: 'utf8' }))?.[1]);
    const tcx = (await program('wdp_tcx'))?.attached[0];
    assert.ok(tcx?.where === 'tcx', JSON.stringify(tcx));
    assert.deepEqual({ ...tcx, link: 0 }, { where: 'tcx', ifindex: 3, netns: inode, direction: 'egress', link: 0 });
    const nf = (await program('wdp_nf'))?.attached[0];
    assert.ok(nf?.where === 'netfilter', JSON.stringify(nf));
    assert.deepEqual({ ...nf, link: 0 }, { where: 'netfilter', family: 'ipv4', hook: 'output', priority: -50, link: 0 });
  } finally {
    for (const fd of [netns.filter, netns.hook, netns.tcx, netns.nf]) if (fd > 0) closeSync(fd);
  }
});

test('a file in a BPF filesystem that keeps a program', async () => {
  const folder = mkdtempSync(`${tmpdir()}/wdp bpf `); // a blank in the path is an escape in /proc/self/mounts
  assert.equal(mount(NAME, folder, 'bpf'), 0);
  const path = `${folder}/kept`;
  const fd = load(TYPE.sched_cls, 'wdp_pinned', 0);
  const name = pinned(path.length + 1);
  name.write(path);
  try {
    const pin = bpf(6 /* BPF_OBJ_PIN */, (a) => {
      a.writeBigUInt64LE(addressOf(name), 0);
      a.writeUInt32LE(fd, 8);
    });
    assert.equal(pin, 0);
    assert.deepEqual((await program('wdp_pinned'))?.pinned, [path]);
  } finally {
    closeSync(fd);
    umount(folder);
    rmdirSync(folder);
  }
});
