import { closeSync, openSync, readdirSync, readlinkSync, statSync, type Dirent } from 'node:fs';
import type { BpfAttachment, BpfProgramFacts } from '../../model/bpf-program.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { listNetns } from '../netns.ts';
import { readText } from '../read.ts';
import { attachTypeName, CGROUP_ATTACH, listLinks, listPrograms, pinnedProgram, programsOfCgroup, programsOfDevice, type AttachType, type LinkInfo } from '../sys/bpf-inventory.ts';
import { withinNetns } from '../sys/netns.ts';
import type { Reader } from './reader.ts';

const CGROUPS = 2_000;
const PINS = 1_000;
const NAMESPACES = 200;
/** ms of work before the thread is given back. */
const SLICE = 12;

/** All programs and where they sit. Those that `tc` and `ip link` attach are told by their listings: here by id only. */
export const bpfPrograms: Reader = async (task) => {
  const programs = listPrograms();
  if (isUnavailable(programs)) return programs;
  const listed = listLinks(); // without links (before 5.8) programs still sit on cgroups
  const links = isUnavailable(listed) ? [] : listed;
  const pause = pacer();
  const types = new Set(programs.map((p) => p.type));
  const byCgroup = await cgroupAttachments([...types].flatMap((type) => CGROUP_ATTACH[type] ?? []), links, pause);
  const byDevice = await deviceNamespaces(links, pause);
  const pins = pinnedPrograms();
  const held = await task.desk.descriptors.programHolders();
  return JSON.stringify(programs.map((p): BpfProgramFacts => ({
    id: p.id,
    name: p.name,
    type: p.type,
    tag: p.tag,
    loadedBy: p.uid,
    loadedAt: String(p.loadedAt),
    ...(p.runCount === 0 ? undefined : { runCount: p.runCount }),
    heldBy: held.get(p.id) ?? [],
    ...(pins.has(p.id) ? { pinned: pins.get(p.id)! } : undefined),
    attached: [...(byCgroup.get(p.id) ?? []), ...links.filter((l) => l.program === p.id && l.type !== 'cgroup').map((l) => placeOf(l, byDevice, l.type === 'netfilter' ? netnsOfHolders(held.get(p.id) ?? []) : undefined))],
  })));
};

/** Gives the thread back now and then: the probes' buffers are drained on it. */
function pacer(): () => Promise<void> {
  let end = performance.now() + SLICE;
  return async () => {
    if (performance.now() < end) return;
    await new Promise((go) => setImmediate(go));
    end = performance.now() + SLICE;
  };
}

const FAMILIES: Readonly<Record<number, string>> = { 0: 'unspec', 1: 'inet', 2: 'ipv4', 3: 'arp', 5: 'netdev', 7: 'bridge', 10: 'ipv6' };
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

/** The union of struct bpf_link_info (include/uapi/linux/bpf.h): ifindex 0, attach_type 4; netfilter: pf 0, hooknum 4, priority 8. */
function placeOf(link: LinkInfo, byDevice: ReadonlyMap<number, number>, holders: number | undefined): BpfAttachment {
  const first = link.where.readUInt32LE(0), second = link.where.readUInt32LE(4);
  const netns = byDevice.get(link.id);
  const within = netns === undefined ? undefined : { netns };
  switch (link.type) {
    case 'tcx': return { where: 'tcx', ifindex: first, ...within, direction: attachTypeName(second) === 'tcx_egress' ? 'egress' : 'ingress', link: link.id };
    case 'netkit': return { where: 'netkit', ifindex: first, ...within, direction: attachTypeName(second) === 'netkit_peer' ? 'peer' : 'primary', link: link.id };
    case 'xdp': return { where: 'xdp', ifindex: first, link: link.id };
    case 'netfilter': return { where: 'netfilter', family: FAMILIES[first] ?? String(first), hook: HOOKS[second] ?? String(second), priority: link.where.readInt32LE(8), ...(holders === undefined ? undefined : { netns: holders }), link: link.id };
    case 'netns': return { where: 'netns', netns: first, attachType: attachTypeName(second), link: link.id };
    default: return { where: 'other', kind: link.type, link: link.id };
  }
}

/**
 * A netfilter link belongs to the namespace of whoever made it, and the kernel does not tell which: that of the processes
 * that hold it. Agents of our own namespace enter others to attach; of those nothing is said.
 */
function netnsOfHolders(pids: readonly number[]): number | undefined {
  const namespaceOf = (pid: number | 'self'): string | undefined => {
    try {
      return readlinkSync(`/proc/${pid}/ns/net`);
    } catch {
      return undefined; // it ended meanwhile
    }
  };
  const found = new Set(pids.map(namespaceOf));
  const [only] = found;
  if (found.size !== 1 || only === undefined || only === namespaceOf('self')) return undefined;
  const inode = /\[(\d+)\]/.exec(only)?.[1];
  return inode === undefined ? undefined : Number(inode);
}

/** Where filesystems of a type are mounted, by proc_pid_mounts(5), as that process sees it. */
function mountsOf(type: string, pid: string): string[] {
  const mounts = readText(`/proc/${pid}/mounts`);
  if (isUnavailable(mounts)) return [];
  const unescape = (path: string): string => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return mounts.split('\n').map((line) => line.split(' ')).filter((words) => words[2] === type).map((words) => unescape(words[1] ?? ''));
}

/**
 * Where the cgroup v2 hierarchy is mounted (alone, or beside version 1), and the way there: `ip netns exec` gives its
 * children a mount namespace without it, so that of the parent or of init has to do.
 */
function cgroupMount(): { readonly path: string; readonly root: string } | undefined {
  for (const pid of ['self', String(process.ppid), '1']) {
    const path = mountsOf('cgroup2', pid)[0];
    if (path !== undefined) return { path, root: pid === 'self' ? '' : `/proc/${pid}/root` };
  }
  return undefined;
}

/** Attachments of every cgroup by program id. Walks the hierarchy only when a program is loaded that can sit there. */
async function cgroupAttachments(types: readonly AttachType[], links: readonly LinkInfo[], pause: () => Promise<void>): Promise<Map<number, BpfAttachment[]>> {
  const found = new Map<number, BpfAttachment[]>();
  const mount = types.length === 0 ? undefined : cgroupMount();
  if (mount === undefined) return found;
  const linkAt = (cgroup: bigint, program: number, type: AttachType): LinkInfo | undefined =>
    links.find((l) => l.type === 'cgroup' && l.program === program && l.where.readBigUInt64LE(0) === cgroup && attachTypeName(l.where.readUInt32LE(8)) === type);
  const queue = [''];
  for (let seen = 0; seen < queue.length && seen < CGROUPS; seen++) {
    await pause();
    const below = queue[seen]!;
    const path = `${mount.path}${below}`, door = `${mount.root}${path}`;
    let fd: number | undefined;
    try {
      fd = openSync(door, 'r');
      const inode = statSync(door, { bigint: true }).ino;
      for (const type of types) {
        for (const program of programsOfCgroup(fd, type)) {
          const link = linkAt(inode, program, type);
          append(found, program, { where: 'cgroup', path, cgroup: below === '' ? '/' : below, attachType: type, ...(link === undefined ? undefined : { link: link.id }) });
        }
      }
      for (const entry of readdirSync(door, { withFileTypes: true })) if (entry.isDirectory()) queue.push(`${below}/${entry.name}`);
    } catch {
      continue; // removed meanwhile
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
  return found;
}

/** The namespace of each tcx and netkit link, by link id: their ifindex counts in one only, and the kernel does not say which. */
async function deviceNamespaces(links: readonly LinkInfo[], pause: () => Promise<void>): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const wanted = links.filter((l) => l.type === 'tcx' || l.type === 'netkit');
  if (wanted.length === 0) return found;
  for (const entry of listNetns().slice(0, NAMESPACES)) {
    await pause();
    const path = entry.name === undefined ? `/proc/${entry.pid}/ns/net` : `/run/netns/${entry.name}`;
    withinNetns(path, () => {
      for (const link of wanted) {
        const type = attachTypeName(link.where.readUInt32LE(4));
        if (type !== 'tcx_ingress' && type !== 'tcx_egress' && type !== 'netkit_primary' && type !== 'netkit_peer') continue;
        if (programsOfDevice(link.where.readUInt32LE(0), type).some((p) => p.link === link.id)) found.set(link.id, entry.inode);
      }
    });
  }
  return found;
}

/** Files of BPF filesystems that keep a program loaded, by program id. */
function pinnedPrograms(): Map<number, string[]> {
  const found = new Map<number, string[]>();
  const queue = mountsOf('bpf', 'self');
  for (let seen = 0; seen < queue.length && seen < PINS; seen++) {
    let entries: Dirent[];
    try {
      entries = readdirSync(queue[seen]!, { withFileTypes: true });
    } catch {
      continue; // removed meanwhile, or not for us
    }
    for (const entry of entries) {
      const path = `${queue[seen]}/${entry.name}`;
      if (entry.isDirectory()) queue.push(path);
      else if (entry.isFile()) {
        const program = pinnedProgram(path);
        if (program !== undefined) append(found, program, path);
      }
    }
  }
  return found;
}

function append<V>(map: Map<number, V[]>, key: number, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
