import { closeSync, readlinkSync } from 'node:fs';
import type { Maybe } from '../../model/unavailable.ts';
import { addressOf, EACCES, ENOENT, ENOSYS, EPERM, errnoName, pinned, syscall } from './ffi.ts';

/** What the kernel tells of loaded BPF programs and links; bpf(2), include/uapi/linux/bpf.h of 6.18. Nothing is changed. */
const BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280, ppc64: 361, s390x: 351 };
const CMD = { OBJ_GET: 7, PROG_GET_NEXT_ID: 11, PROG_GET_FD_BY_ID: 13, OBJ_GET_INFO_BY_FD: 15, PROG_QUERY: 16, LINK_GET_FD_BY_ID: 30, LINK_GET_NEXT_ID: 31 } as const;
const ATTR = 128; // zeroes past what an older kernel knows are accepted

/** `enum bpf_prog_type`, in order. */
const PROGRAM_TYPES = [
  'unspec', 'socket_filter', 'kprobe', 'sched_cls', 'sched_act', 'tracepoint', 'xdp', 'perf_event', 'cgroup_skb', 'cgroup_sock', 'lwt_in', 'lwt_out', 'lwt_xmit', 'sock_ops',
  'sk_skb', 'cgroup_device', 'sk_msg', 'raw_tracepoint', 'cgroup_sock_addr', 'lwt_seg6local', 'lirc_mode2', 'sk_reuseport', 'flow_dissector', 'cgroup_sysctl',
  'raw_tracepoint_writable', 'cgroup_sockopt', 'tracing', 'struct_ops', 'ext', 'lsm', 'sk_lookup', 'syscall', 'netfilter',
];

/** `enum bpf_attach_type`, in order, in lower case without BPF_ and CGROUP_. */
export const ATTACH_TYPES = [
  'inet_ingress', 'inet_egress', 'inet_sock_create', 'sock_ops', 'sk_skb_stream_parser', 'sk_skb_stream_verdict', 'device', 'sk_msg_verdict', 'inet4_bind', 'inet6_bind',
  'inet4_connect', 'inet6_connect', 'inet4_post_bind', 'inet6_post_bind', 'udp4_sendmsg', 'udp6_sendmsg', 'lirc_mode2', 'flow_dissector', 'sysctl', 'udp4_recvmsg', 'udp6_recvmsg',
  'getsockopt', 'setsockopt', 'trace_raw_tp', 'trace_fentry', 'trace_fexit', 'modify_return', 'lsm_mac', 'trace_iter', 'inet4_getpeername', 'inet6_getpeername',
  'inet4_getsockname', 'inet6_getsockname', 'xdp_devmap', 'inet_sock_release', 'xdp_cpumap', 'sk_lookup', 'xdp', 'sk_skb_verdict', 'sk_reuseport_select',
  'sk_reuseport_select_or_migrate', 'perf_event', 'trace_kprobe_multi', 'lsm_cgroup', 'struct_ops', 'netfilter', 'tcx_ingress', 'tcx_egress', 'trace_uprobe_multi',
  'unix_connect', 'unix_sendmsg', 'unix_recvmsg', 'unix_getpeername', 'unix_getsockname', 'netkit_primary', 'netkit_peer',
] as const;
export type AttachType = (typeof ATTACH_TYPES)[number];

/** Attach types of a cgroup that can keep a packet or a call from going on, by the program type that goes there. */
export const CGROUP_ATTACH: Readonly<Record<string, readonly AttachType[]>> = {
  cgroup_skb: ['inet_ingress', 'inet_egress'],
  cgroup_sock: ['inet_sock_create', 'inet4_post_bind', 'inet6_post_bind', 'inet_sock_release'],
  cgroup_sock_addr: [
    'inet4_bind', 'inet6_bind', 'inet4_connect', 'inet6_connect', 'udp4_sendmsg', 'udp6_sendmsg', 'udp4_recvmsg', 'udp6_recvmsg',
    'inet4_getpeername', 'inet6_getpeername', 'inet4_getsockname', 'inet6_getsockname', 'unix_connect', 'unix_sendmsg', 'unix_recvmsg',
  ],
  cgroup_sockopt: ['getsockopt', 'setsockopt'],
  sock_ops: ['sock_ops'],
};

const LINK_TYPES = [
  'unspec', 'raw_tracepoint', 'tracing', 'cgroup', 'iter', 'netns', 'xdp', 'perf_event', 'kprobe_multi', 'struct_ops', 'netfilter', 'tcx', 'uprobe_multi', 'netkit', 'sockmap',
];

export interface ProgramInfo {
  readonly id: number;
  readonly type: string;
  readonly name: string;
  readonly tag: string;
  readonly loadedAt: bigint;
  readonly uid: number;
  readonly runCount: number;
}

export interface LinkInfo {
  readonly id: number;
  readonly program: number;
  readonly type: string;
  /** The 16 bytes of the union that tell where, by type. */
  readonly where: Buffer;
}

function bpf(command: number, attr: Buffer): number {
  const nr = BPF[process.arch];
  return nr === undefined ? -ENOSYS : syscall(nr, command, attr, attr.length);
}

function nextId(command: number, after: number): number {
  const attr = pinned(ATTR);
  attr.writeUInt32LE(after, 0);
  const result = bpf(command, attr);
  return result < 0 ? result : attr.readUInt32LE(4);
}

/** Opens each object that has an id, lets `read` look at it, and closes it. Objects that vanish meanwhile are left out. */
function everyId<T>(next: number, open: number, what: string, limit: number, read: (fd: number) => T | undefined): Maybe<T[]> {
  const all: T[] = [];
  for (let id = 0; all.length < limit; ) {
    id = nextId(next, id);
    if (id === -ENOENT) break;
    if (id < 0) return refused(what, -id);
    const attr = pinned(ATTR);
    attr.writeUInt32LE(id, 0);
    const fd = bpf(open, attr);
    if (fd === -ENOENT) continue;
    if (fd < 0) return refused(what, -fd);
    try {
      const value = read(fd);
      if (value !== undefined) all.push(value);
    } finally {
      closeSync(fd);
    }
  }
  return all;
}

function refused(what: string, errno: number): Maybe<never> {
  const why = errnoName(errno);
  if (errno === EPERM || errno === EACCES) return { unavailable: 'permission', what, why, fix: 'run as root, or with CAP_BPF and CAP_SYS_ADMIN' };
  return { unavailable: 'unsupported', what, why };
}

function info(fd: number, size: number): Buffer | undefined {
  const attr = pinned(ATTR), bytes = pinned(size);
  attr.writeUInt32LE(fd, 0);
  attr.writeUInt32LE(size, 4);
  attr.writeBigUInt64LE(addressOf(bytes), 8);
  return bpf(CMD.OBJ_GET_INFO_BY_FD, attr) < 0 ? undefined : bytes;
}

/** struct bpf_prog_info: type 0, id 4, tag 8, load_time 40, created_by_uid 48, name 64, run_cnt 200. */
function programInfo(fd: number): ProgramInfo | undefined {
  const b = info(fd, 232);
  if (b === undefined) return undefined;
  const name = b.subarray(64, 80);
  const end = name.indexOf(0);
  return {
    id: b.readUInt32LE(4),
    type: PROGRAM_TYPES[b.readUInt32LE(0)] ?? `type ${b.readUInt32LE(0)}`,
    name: name.toString('utf8', 0, end < 0 ? name.length : end),
    tag: b.toString('hex', 8, 16),
    loadedAt: b.readBigUInt64LE(40),
    uid: b.readUInt32LE(48),
    runCount: Number(b.readBigUInt64LE(200)),
  };
}

/** Every loaded program, by ascending id. */
export const listPrograms = (limit = 4_000): Maybe<ProgramInfo[]> =>
  everyId(CMD.PROG_GET_NEXT_ID, CMD.PROG_GET_FD_BY_ID, 'listing BPF programs', limit, programInfo);

/** Every BPF link. struct bpf_link_info: type 0, id 4, prog_id 8, union 16. */
export const listLinks = (limit = 4_000): Maybe<LinkInfo[]> =>
  everyId(CMD.LINK_GET_NEXT_ID, CMD.LINK_GET_FD_BY_ID, 'listing BPF links', limit, (fd) => {
    const b = info(fd, 64);
    if (b === undefined) return undefined;
    const type = b.readUInt32LE(0);
    return { id: b.readUInt32LE(4), program: b.readUInt32LE(8), type: LINK_TYPES[type] ?? `link type ${type}`, where: b.subarray(16, 48) };
  });

/** Name of a number of `enum bpf_attach_type`. */
export const attachTypeName = (n: number): string => ATTACH_TYPES[n] ?? `attach type ${n}`;

/** Ids of the programs attached to a cgroup's folder itself, of one attach type; none where that type is not known here. */
export function programsOfCgroup(fd: number, type: AttachType): number[] {
  return query(fd, type).map((p) => p.program);
}

/** Programs of a device by tcx or netkit, in order; runs in the calling thread's namespace, where the ifindex counts. */
export function programsOfDevice(ifindex: number, type: 'tcx_ingress' | 'tcx_egress' | 'netkit_primary' | 'netkit_peer'): { program: number; link: number }[] {
  return query(ifindex, type);
}

const ATTACHED = 64; // BPF_CGROUP_MAX_PROGS, BPF_MPROG_MAX

/** BPF_PROG_QUERY: target 0, attach_type 4, query_flags 8, attach_flags 12, prog_ids 16, count 24, link_ids 40. */
function query(target: number, type: AttachType): { program: number; link: number }[] {
  const programs = pinned(4 * ATTACHED), links = pinned(4 * ATTACHED), attr = pinned(ATTR);
  const number = ATTACH_TYPES.indexOf(type);
  attr.writeUInt32LE(target, 0);
  attr.writeUInt32LE(number, 4);
  attr.writeBigUInt64LE(addressOf(programs), 16);
  attr.writeUInt32LE(ATTACHED, 24);
  if (number >= ATTACH_TYPES.indexOf('tcx_ingress')) attr.writeBigUInt64LE(addressOf(links), 40); // cgroups know no link ids here
  if (bpf(CMD.PROG_QUERY, attr) < 0) return []; // this kernel has no such attach type, or nothing can be attached there
  const count = Math.min(attr.readUInt32LE(24), ATTACHED);
  return Array.from({ length: count }, (_, i) => ({ program: programs.readUInt32LE(4 * i), link: links.readUInt32LE(4 * i) }));
}

/** The program that a file of a BPF filesystem pins, itself or by its link; undefined for maps and the rest. */
export function pinnedProgram(path: string): number | undefined {
  const name = Buffer.from(`${path}\0`);
  const bytes = pinned(name.length), attr = pinned(ATTR);
  name.copy(bytes);
  attr.writeBigUInt64LE(addressOf(bytes), 0);
  const fd = bpf(CMD.OBJ_GET, attr);
  if (fd < 0) return undefined;
  try {
    const kind = readlinkSync(`/proc/self/fd/${fd}`);
    if (kind === 'anon_inode:bpf-prog') return programInfo(fd)?.id;
    if (kind === 'anon_inode:bpf_link') return info(fd, 64)?.readUInt32LE(8);
    return undefined;
  } finally {
    closeSync(fd);
  }
}
