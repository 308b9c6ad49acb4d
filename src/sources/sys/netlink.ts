import { closeSync } from 'node:fs';
import { isUnavailable, type Maybe, type Unavailable } from '../../model/unavailable.ts';
import { AF_NETLINK, EACCES, EAGAIN, EINTR, ENOBUFS, EPERM, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET, SO_RCVBUF, SO_RCVBUFFORCE, bind, errnoName, getsockname, getsockoptInt, pinned, pollReadable, recv, send, setsockopt, socket } from './ffi.ts';
import { withinNetns } from './netns.ts';

/**
 * Netlink sockets (netlink(7), include/uapi/linux/netlink.h). Reading only: whoever builds a request decides what it
 * asks. The socket belongs to the namespace in which it was opened, whatever the thread does later.
 */
export interface NetlinkSocket {
  readonly fd: number;
  /** The kernel's name for this socket: the requester in events that its own requests cause. */
  readonly portId: number;
  /** Bytes of receive buffer that the kernel granted (its own bookkeeping counts about 800 for a small message). */
  readonly receiveBuffer: number;
  /** One request of type and flags with this body; the answer, without the acknowledgement that ends it. */
  request(type: number, flags: number, body: Uint8Array): Maybe<Dump>;
  /** As {@link request}, for all objects, without NLMSG_DONE. Stops after `limit` bytes. */
  dump(type: number, body: Uint8Array, limit?: number): Maybe<Dump>;
  /**
   * The next datagram that waits, if any. It is valid until the next call, on whatever socket: the buffer is used again. `overrun`: the
   * kernel had to throw messages away because the buffer was full; what follows is whole again.
   */
  receive(): Uint8Array | 'empty' | 'overrun' | Unavailable;
  close(): void;
}

export interface Dump {
  /** The datagrams, one after the other. */
  readonly bytes: Uint8Array;
  /** `interrupted`: what was listed changed meanwhile (NLM_F_DUMP_INTR); `limit`: there is more. */
  readonly status: 'complete' | 'interrupted' | 'limit';
}

export interface NetlinkOptions {
  /** Multicast groups by number (not bit mask), joined before this returns. */
  readonly groups?: readonly number[];
  /** Bytes wished for; beyond net.core.rmem_max with CAP_NET_ADMIN only. */
  readonly receiveBuffer?: number;
  /** In messages: `listing conntrack entries`. */
  readonly what?: string;
}

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP = 0x300;

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1, NETLINK_CAP_ACK = 10, NETLINK_EXT_ACK = 11;
const NLMSG_ERROR = 2, NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_CAPPED = 0x100, NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
const HEADER = 16;
const ENODEV = 19, EMSGSIZE = 90, EPROTONOSUPPORT = 93, EAFNOSUPPORT = 97;

/** The kernel builds dump datagrams of up to 32 KiB (netlink_recvmsg), larger only for one very large message. */
const DATAGRAM = 256 * 1024;
/** One for all exchanges and one for all that is received: neither outlives its call, and hundreds of namespaces have a socket each. */
let shared: Buffer | undefined, incoming: Buffer | undefined;
const ANSWER_MS = 2_000;
const MOST_BYTES = 64 * 1024 * 1024;

/** Opens a socket in the namespace of `netnsPath`, in the thread's own without one. */
export function openNetlink(netnsPath: string | undefined, protocol: number, options: NetlinkOptions = {}): Maybe<NetlinkSocket> {
  return netnsPath === undefined ? open(protocol, options) : withinNetns(netnsPath, () => open(protocol, options));
}

function open(protocol: number, options: NetlinkOptions): Maybe<NetlinkSocket> {
  const what = options.what ?? `using netlink protocol ${protocol}`;
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return refused(what, -fd);
  const give = (errno: number): Unavailable => {
    closeSync(fd);
    return refused(what, errno);
  };
  const size = options.receiveBuffer ?? 4 * 1024 * 1024;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(size)) < 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, int32(size));
  // both since 4.12 and only for the words of an error: without them there is the errno
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, int32(1));
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, int32(1));
  const own = Buffer.alloc(12); // struct sockaddr_nl; port id 0: the kernel chooses
  own.writeUInt16LE(AF_NETLINK, 0);
  const bound = bind(fd, own);
  if (bound < 0) return give(-bound);
  for (const group of options.groups ?? []) {
    const joined = setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(group));
    if (joined < 0) return give(-joined);
  }
  const name = getsockname(fd);
  if (typeof name === 'number') return give(-name);
  const portId = Buffer.from(name).readUInt32LE(4);
  return opened(fd, portId, what);
}

function opened(fd: number, portId: number, what: string): NetlinkSocket {
  let sequence = 0;
  const exchange = (type: number, flags: number, body: Uint8Array, limit: number): Maybe<Dump> => {
    sequence = (sequence + 1) >>> 0;
    const sent = send(fd, message(type, flags, sequence, body));
    if (sent < 0) return refused(what, -sent);
    return answer(fd, (shared ??= pinned(DATAGRAM)), sequence, limit, what);
  };
  return {
    fd,
    portId,
    receiveBuffer: getsockoptInt(fd, SOL_SOCKET, SO_RCVBUF),
    request: (type, flags, body) => exchange(type, flags | NLM_F_REQUEST | NLM_F_ACK, body, MOST_BYTES),
    dump: (type, body, limit = MOST_BYTES) => exchange(type, NLM_F_REQUEST | NLM_F_DUMP, body, limit),
    receive: () => {
      const buffer = (incoming ??= pinned(DATAGRAM));
      for (;;) {
        const n = recv(fd, buffer, MSG_DONTWAIT);
        if (n > 0) return buffer.subarray(0, n);
        if (n === -EINTR) continue;
        if (n === -EAGAIN || n === 0) return 'empty';
        return n === -ENOBUFS ? 'overrun' : refused(what, -n);
      }
    },
    close: () => closeSync(fd),
  };
}

/** Collects the answer to request `sequence`; events of groups in between are none of it and are left out. */
function answer(fd: number, buffer: Buffer, sequence: number, limit: number, what: string): Maybe<Dump> {
  const parts: Buffer[] = [];
  let total = 0;
  let interrupted = false;
  const done = (status: Dump['status']): Dump => ({ bytes: Buffer.concat(parts, total), status });
  for (;;) {
    const n = recv(fd, buffer, MSG_DONTWAIT);
    if (n === -EINTR) continue;
    if (n === -EAGAIN) {
      const ready = pollReadable([fd], ANSWER_MS);
      if (ready === 0) return { unavailable: 'timeout', what, why: `no answer within ${ANSWER_MS} ms` };
      if (ready < 0 && ready !== -EINTR) return refused(what, -ready);
      continue;
    }
    if (n <= 0) return n === 0 ? done('interrupted') : refused(what, -n);
    let from = -1, to = 0;
    let end: Maybe<'done'> | undefined;
    for (let at = 0; at + HEADER <= n && end === undefined; ) {
      const length = buffer.readUInt32LE(at);
      if (length < HEADER || at + length > n) break; // the kernel does not do this; what is whole is kept
      const type = buffer.readUInt16LE(at + 4);
      const flags = buffer.readUInt16LE(at + 6);
      const next = at + ((length + 3) & ~3);
      if (buffer.readUInt32LE(at + 8) === sequence) {
        if ((flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (type === NLMSG_ERROR || type === NLMSG_DONE) end = endOf(buffer.subarray(at, at + length), flags, what);
        else {
          if (from < 0) from = at;
          to = next;
        }
      }
      at = next;
    }
    if (from >= 0) {
      const part = Buffer.from(buffer.subarray(from, Math.min(to, n)));
      parts.push(part);
      total += part.length;
    }
    if (isUnavailable(end)) return end;
    if (end === 'done') return done(interrupted ? 'interrupted' : 'complete');
    if (total >= limit) return done('limit');
  }
}

/** NLMSG_ERROR and NLMSG_DONE both begin with an errno, 0 or negative; extended acknowledgement text behind. */
function endOf(m: Buffer, flags: number, what: string): Maybe<'done'> {
  const errno = m.length >= HEADER + 4 ? -m.readInt32LE(HEADER) : 0;
  if (errno <= 0) return 'done';
  const words = errorText(m, flags);
  const why = refused(what, errno);
  return words === undefined ? why : { ...why, why: `${why.why}: ${words}` };
}

/** struct nlmsgerr: int error, struct nlmsghdr of the request (and its body unless NLM_F_CAPPED), then attributes. */
function errorText(m: Buffer, flags: number): string | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0 || m.length < HEADER + 4 + HEADER) return undefined;
  const body = (flags & NLM_F_CAPPED) !== 0 ? HEADER : m.readUInt32LE(HEADER + 4);
  for (let at = HEADER + 4 + ((body + 3) & ~3); at + 4 <= m.length; ) {
    const length = m.readUInt16LE(at);
    if (length < 4) return undefined;
    if ((m.readUInt16LE(at + 2) & 0x3fff) === NLMSGERR_ATTR_MSG) return m.subarray(at + 4, Math.min(at + length, m.length)).toString('utf8').replace(/\0.*$/s, '');
    at += (length + 3) & ~3;
  }
  return undefined;
}

function message(type: number, flags: number, sequence: number, body: Uint8Array): Buffer {
  const m = Buffer.alloc(HEADER + body.length);
  m.writeUInt32LE(m.length, 0);
  m.writeUInt16LE(type, 4);
  m.writeUInt16LE(flags, 6);
  m.writeUInt32LE(sequence, 8);
  m.set(body, HEADER);
  return m;
}

function int32(value: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeInt32LE(value);
  return b;
}

function refused(what: string, errno: number): Unavailable {
  const why = errnoName(errno);
  if (errno === EPERM || errno === EACCES) return { unavailable: 'permission', what, why, fix: 'run as root, or with CAP_NET_ADMIN' };
  if (errno === EPROTONOSUPPORT || errno === EAFNOSUPPORT || errno === ENODEV) return { unavailable: 'unsupported', what, why };
  return { unavailable: errno === EMSGSIZE ? 'too-large' : 'failed', what, why };
}
