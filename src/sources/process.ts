import type { ProcessFacts } from '../model/process.ts';
import { isUnavailable, type Maybe } from '../model/unavailable.ts';
import { readLink, readNames, readText } from './read.ts';

/** Names of include/uapi/linux/capability.h by number (6.18). */
const CAPABILITIES = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST',
  'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE',
  'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM',
  'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
];
const CMDLINE_LIMIT = 4096;

/** All that is known of one process; `missing` when it has ended, even halfway through the reading. */
export function readProcess(pid: number, root = '/proc'): Maybe<ProcessFacts> {
  const base = `${root}/${pid}`;
  const stat = readText(`${base}/stat`);
  if (isUnavailable(stat)) return gone(stat.unavailable === 'missing', pid, stat.why);
  const status = readText(`${base}/status`);
  if (isUnavailable(status)) return gone(status.unavailable === 'missing', pid, status.why);
  // the name stands in brackets and may hold brackets, blanks and newlines itself: only the last bracket counts
  const open = stat.indexOf('('), close = stat.lastIndexOf(')');
  if (open < 0 || close < open) return { unavailable: 'malformed', what: `reading ${base}/stat`, why: 'no name in brackets' };
  const rest = stat.slice(close + 2).split(' ');
  // /proc/PID/status begins with the name too, escaped: a newline in it cannot fake another line
  const field = (name: string): string | undefined => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
  const cmdline = readText(`${base}/cmdline`);
  const cgroups = readText(`${base}/cgroup`);
  const exe = readLink(`${base}/exe`);
  const cgroup = isUnavailable(cgroups) ? undefined : cgroupPath(cgroups);
  const netns = namespaceInode(pid, root);
  return {
    pid,
    ppid: Number(rest[1] ?? 0),
    comm: stat.slice(open + 1, close),
    cmdline: isUnavailable(cmdline) ? '' : cmdline.slice(0, CMDLINE_LIMIT).replace(/\0+$/, '').replaceAll('\0', ' '),
    ...(exe === undefined || exe === '' ? undefined : { exe }),
    state: rest[0] ?? '?',
    uid: Number(field('Uid')?.split('\t')[1] ?? 0),
    startTicks: Number(rest[19] ?? 0),
    ...(cgroup === undefined ? undefined : { cgroup, ...ownerOfCgroup(cgroup) }),
    capabilities: capabilityNames(field('CapEff') ?? '0'),
    seccomp: Number(field('Seccomp') ?? 0),
    noNewPrivs: field('NoNewPrivs') === '1',
    ...(netns === undefined ? undefined : { netns }),
  };
}

function gone(ended: boolean, pid: number, why: string): Maybe<ProcessFacts> {
  return ended ? { unavailable: 'missing', what: `reading /proc/${pid}`, why: 'the process has ended' } : { unavailable: 'failed', what: `reading /proc/${pid}`, why };
}

/** Pids of all processes, ascending. */
export function allPids(root = '/proc'): number[] {
  const names = readNames(root);
  return isUnavailable(names) ? [] : names.filter((n) => /^[0-9]+$/.test(n)).map(Number).sort((a, b) => a - b);
}

/** Pids of the processes that a process has started and that still live; none where the kernel does not list them (CONFIG_PROC_CHILDREN). */
export function childrenOf(pid: number, root = '/proc'): number[] {
  const threads = readNames(`${root}/${pid}/task`);
  if (isUnavailable(threads)) return [];
  return threads.flatMap((tid) => {
    const text = readText(`${root}/${pid}/task/${tid}/children`);
    return isUnavailable(text) ? [] : text.split(' ').filter((n) => n !== '').map(Number);
  });
}

/** Inodes of the sockets that a process has open, of its first `limit` descriptors. */
export function socketsOf(pid: number, limit: number, root = '/proc'): number[] {
  const names = readNames(`${root}/${pid}/fd`);
  if (isUnavailable(names)) return [];
  return names.slice(0, limit).flatMap((fd) => {
    const inode = /^socket:\[([0-9]+)\]$/.exec(readLink(`${root}/${pid}/fd/${fd}`) ?? '')?.[1];
    return inode === undefined ? [] : [Number(inode)];
  });
}

/** Inode of the network namespace a process lives in; undefined when it has ended or may not be looked into. */
export function namespaceInode(pid: number | 'self', root = '/proc'): number | undefined {
  const inode = /^net:\[([0-9]+)\]$/.exec(readLink(`${root}/${pid}/ns/net`) ?? '')?.[1];
  return inode === undefined ? undefined : Number(inode);
}

/** Names of a capability mask in hex, lowest number first. */
export function capabilityNames(hex: string): string[] {
  if (!/^[0-9a-fA-F]{1,16}$/.test(hex)) return [];
  const mask = BigInt(`0x${hex}`);
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) if ((mask >> BigInt(bit)) & 1n) names.push(CAPABILITIES[bit] === undefined ? `CAP_${bit}` : `CAP_${CAPABILITIES[bit]}`);
  return names;
}

/** The one path that tells most, of the lines `ID:CONTROLLERS:PATH` of /proc/PID/cgroup (cgroups(7)). */
export function cgroupPath(text: string): string | undefined {
  const lines = text.split('\n').map((line) => /^[0-9]+:([^:]*):(.*)$/.exec(line)).filter((m) => m !== null);
  const unified = lines.find((m) => m[1] === '')?.[2];
  if (unified !== undefined && unified !== '/') return unified;
  return lines.find((m) => m[1] === 'name=systemd' && m[2] !== '/')?.[2] ?? lines.find((m) => m[2] !== '/')?.[2] ?? unified;
}

const RUNTIMES: readonly (readonly [RegExp, string])[] = [
  [/^(?:docker-|docker\/)?([0-9a-f]{64})(?:\.scope)?$/, 'container'],
  [/^docker-([0-9a-f]{12,64})\.scope$/, 'docker'],
  [/^libpod-([0-9a-f]{12,64})(?:\.scope)?$/, 'podman'],
  [/^cri-containerd-([0-9a-f]{12,64})\.scope$/, 'containerd'],
  [/^crio-([0-9a-f]{12,64})(?:\.scope)?$/, 'cri-o'],
  [/^nerdctl-([0-9a-f]{12,64})\.scope$/, 'containerd'],
  [/^lxc\.payload\.(.+)$/, 'lxc'],
  [/^machine-(.+)\.scope$/, 'machine'],
  [/^systemd-nspawn@(.+)\.service$/, 'machine'],
];

/** Who manages a cgroup: the container, else the systemd unit. The deepest component that names one counts. */
export function ownerOfCgroup(path: string): { readonly unit?: string; readonly container?: string } {
  const parts = path.split('/').filter((p) => p !== '');
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    if (parts[i - 1] === 'lxc') return { container: `lxc ${part}` };
    for (const [pattern, runtime] of RUNTIMES) {
      const id = pattern.exec(part)?.[1];
      if (id === undefined) continue;
      const pod = /(?:^|[-/])kubepods/.test(path), inDocker = part.startsWith('docker') || parts[i - 1] === 'docker';
      const name = pod ? 'kubernetes' : runtime === 'container' && inDocker ? 'docker' : runtime;
      return { container: `${name} ${/^[0-9a-f]{12,}$/.test(id) ? id.slice(0, 12) : id}` };
    }
  }
  const unit = parts.findLast((p) => /\.(?:service|scope|socket|mount|swap)$/.test(p));
  return unit === undefined ? {} : { unit };
}
