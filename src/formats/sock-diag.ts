import { ipv4Text, ipv6Text } from '../base/inet.ts';
import type { Socket, SocketMemory, SocketState, SocketTable } from '../model/socket.ts';

/**
 * Answers of NETLINK_SOCK_DIAG (sock_diag(7)): datagrams of `struct nlmsghdr` one after the other, each with a
 * `struct inet_diag_msg` (72 bytes), `struct unix_diag_msg` (16) or `struct packet_diag_msg` (16), then attributes.
 * Source: include/uapi/linux/{sock_diag,inet_diag,unix_diag,packet_diag}.h, Linux 6.18. Little-endian hosts.
 */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const SOCK_DIAG_BY_FAMILY = 20;
const NLMSG_HEADER = 16;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;

const INET_DIAG_SKMEMINFO = 7;
const INET_DIAG_SHUTDOWN = 8;
const INET_DIAG_PROTOCOL = 10;
const INET_DIAG_SKV6ONLY = 11;
const INET_DIAG_MARK = 15;
const INET_DIAG_MD5SIG = 18;
const INET_DIAG_CGROUP_ID = 21;
const UNIX_DIAG_NAME = 0;
const UNIX_DIAG_RQLEN = 4;
const UNIX_DIAG_MEMINFO = 5;
const UNIX_DIAG_SHUTDOWN = 6;
const UNIX_DIAG_UID = 7;
const PACKET_DIAG_INFO = 0;
const PACKET_DIAG_UID = 5;
const PACKET_DIAG_MEMINFO = 6;
const PACKET_DIAG_FILTER = 7;

const STATES: readonly SocketState[] = [
  'unknown', 'established', 'syn-sent', 'syn-recv', 'fin-wait-1', 'fin-wait-2', 'time-wait', 'close', 'close-wait',
  'last-ack', 'listen', 'closing', 'new-syn-recv',
];

/** Which sockets the dump is of: the answer itself does not say (only for raw sockets). */
export type SockDiagKind = Socket['kind'];

/** Decodes a whole dump. Never throws; a length that lies ends the decoding with `partial`. */
export function decodeSockDiag(bytes: Uint8Array, kind: SockDiagKind): SocketTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sockets: Socket[] = [];
  const partial = (why: string): SocketTable => ({ sockets, status: 'partial', why });
  let skipped = 0;
  let at = 0;
  while (at + NLMSG_HEADER <= bytes.length) {
    const length = view.getUint32(at, true);
    const type = view.getUint16(at + 4, true);
    if (length < NLMSG_HEADER || at + length > bytes.length) return partial(`message at byte ${at} says it is ${length} bytes long`);
    const body = at + NLMSG_HEADER;
    const end = at + length;
    if (type === SOCK_DIAG_BY_FAMILY) {
      const socket = body < end ? decodeSocket(view, body, end, kind) : undefined;
      if (socket === undefined) skipped += 1;
      else sockets.push(socket);
    } else if (type === NLMSG_ERROR || type === NLMSG_DONE) {
      const error = body + 4 <= end ? view.getInt32(body, true) : 0;
      if (error < 0) return partial(`the kernel answered errno ${-error}`);
    }
    at += (length + 3) & ~3;
  }
  if (at < bytes.length) return partial(`${bytes.length - at} bytes left over`);
  return skipped === 0 ? { sockets, status: 'complete' } : partial(`${skipped} messages of an unknown form`);
}

function decodeSocket(view: DataView, at: number, end: number, kind: SockDiagKind): Socket | undefined {
  switch (view.getUint8(at)) {
    case AF_INET:
    case AF_INET6:
      return kind === 'unix' || kind === 'packet' ? undefined : inetSocket(view, at, end, kind);
    case AF_UNIX:
      return kind === 'unix' ? unixSocket(view, at, end) : undefined;
    case AF_PACKET:
      return kind === 'packet' ? packetSocket(view, at, end) : undefined;
    default:
      return undefined;
  }
}

const INET_MSG = 72;
/** idiag_timer: 1 retransmission, 2 keep-alive, 3 time-wait, 4 zero window probe. */
const TIMER_PROBE0 = 4;

function inetSocket(view: DataView, at: number, end: number, kind: 'tcp' | 'udp' | 'raw'): Socket | undefined {
  if (at + INET_MSG > end) return undefined;
  const six = view.getUint8(at) === AF_INET6;
  let protocol = kind === 'tcp' ? 6 : kind === 'udp' ? 17 : 0;
  let memory: SocketMemory | undefined;
  let shutdown: number | undefined;
  let mark: number | undefined;
  let cgroup: bigint | undefined;
  let v6only: boolean | undefined;
  let md5Peers: string[] | undefined;
  for (let a = at + INET_MSG; a + 4 <= end; ) {
    const length = view.getUint16(a, true);
    if (length < 4 || a + length > end) break;
    const data = a + 4;
    const size = length - 4;
    switch (view.getUint16(a + 2, true) & 0x3fff) {
      case INET_DIAG_SKMEMINFO:
        memory = skMeminfo(view, data, size);
        break;
      case INET_DIAG_SHUTDOWN:
        if (size >= 1) shutdown = view.getUint8(data);
        break;
      case INET_DIAG_PROTOCOL:
        if (size >= 1 && kind === 'raw') protocol = view.getUint8(data);
        break;
      case INET_DIAG_SKV6ONLY:
        if (size >= 1) v6only = view.getUint8(data) !== 0;
        break;
      case INET_DIAG_MARK:
        if (size >= 4) mark = view.getUint32(data, true);
        break;
      case INET_DIAG_MD5SIG:
        md5Peers = md5(view, data, size);
        break;
      case INET_DIAG_CGROUP_ID:
        if (size >= 8) cgroup = view.getBigUint64(data, true);
        break;
      default:
    }
    a += (length + 3) & ~3;
  }
  return {
    family: six ? 'inet6' : 'inet',
    protocol,
    kind,
    state: STATES[view.getUint8(at + 1)] ?? 'unknown',
    local: address(view, at + 8, six),
    localPort: view.getUint16(at + 4, false), // for raw sockets the kernel puts the protocol here (inet_num)
    remote: address(view, at + 24, six),
    remotePort: view.getUint16(at + 6, false),
    ifindex: view.getUint32(at + 40, true),
    receiveQueue: view.getUint32(at + 56, true),
    sendQueue: view.getUint32(at + 60, true),
    uid: view.getUint32(at + 64, true),
    inode: view.getUint32(at + 68, true),
    ...(kind === 'tcp' && view.getUint8(at + 2) === TIMER_PROBE0 ? { probing: true } : undefined),
    ...(memory === undefined ? undefined : { memory }),
    ...(shutdown === undefined ? undefined : { shutdown }),
    ...(mark === undefined ? undefined : { mark }),
    ...(cgroup === undefined ? undefined : { cgroup }),
    ...(v6only === undefined ? undefined : { v6only }),
    ...(md5Peers === undefined ? undefined : { md5Peers }),
  };
}

function unixSocket(view: DataView, at: number, end: number): Socket | undefined {
  if (at + 16 > end) return undefined;
  let local = '';
  let uid = 0;
  let receiveQueue = 0;
  let sendQueue = 0;
  let memory: SocketMemory | undefined;
  let shutdown: number | undefined;
  eachAttribute(view, at + 16, end, (type, data, size) => {
    if (type === UNIX_DIAG_NAME) local = unixName(view, data, size);
    else if (type === UNIX_DIAG_RQLEN && size >= 8) {
      receiveQueue = view.getUint32(data, true);
      sendQueue = view.getUint32(data + 4, true);
    } else if (type === UNIX_DIAG_MEMINFO) memory = skMeminfo(view, data, size);
    else if (type === UNIX_DIAG_SHUTDOWN && size >= 1) shutdown = view.getUint8(data);
    else if (type === UNIX_DIAG_UID && size >= 4) uid = view.getUint32(data, true);
  });
  return {
    family: 'unix', kind: 'unix', protocol: 0, state: STATES[view.getUint8(at + 2)] ?? 'unknown',
    local, localPort: 0, remote: '', remotePort: 0, ifindex: 0, receiveQueue, sendQueue, uid, inode: view.getUint32(at + 4, true),
    ...(memory === undefined ? undefined : { memory }),
    ...(shutdown === undefined ? undefined : { shutdown }),
  };
}

function packetSocket(view: DataView, at: number, end: number): Socket | undefined {
  if (at + 16 > end) return undefined;
  let uid = 0;
  let ifindex = 0;
  let memory: SocketMemory | undefined;
  let filtered = false;
  eachAttribute(view, at + 16, end, (type, data, size) => {
    if (type === PACKET_DIAG_INFO && size >= 4) ifindex = view.getUint32(data, true);
    else if (type === PACKET_DIAG_UID && size >= 4) uid = view.getUint32(data, true);
    else if (type === PACKET_DIAG_MEMINFO) memory = skMeminfo(view, data, size);
    else if (type === PACKET_DIAG_FILTER) filtered = size > 0;
  });
  return {
    family: 'packet', kind: 'packet', protocol: view.getUint16(at + 2, true), state: 'close',
    local: '', localPort: 0, remote: '', remotePort: 0, ifindex, receiveQueue: memory?.receiveAllocated ?? 0, sendQueue: memory?.sendAllocated ?? 0,
    uid, inode: view.getUint32(at + 4, true), filtered,
    ...(memory === undefined ? undefined : { memory }),
  };
}

function eachAttribute(view: DataView, from: number, end: number, take: (type: number, data: number, size: number) => void): void {
  for (let a = from; a + 4 <= end; ) {
    const length = view.getUint16(a, true);
    if (length < 4 || a + length > end) return;
    take(view.getUint16(a + 2, true) & 0x3fff, a + 4, length - 4);
    a += (length + 3) & ~3;
  }
}

/** u32 each: rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog, drops (drops since 4.7). */
function skMeminfo(view: DataView, at: number, size: number): SocketMemory | undefined {
  if (size < 32) return undefined;
  return {
    receiveAllocated: view.getUint32(at, true),
    receiveBuffer: view.getUint32(at + 4, true),
    sendAllocated: view.getUint32(at + 8, true),
    sendBuffer: view.getUint32(at + 12, true),
    backlog: view.getUint32(at + 28, true),
    drops: size >= 36 ? view.getUint32(at + 32, true) : 0,
  };
}

/** `struct tcp_diag_md5sig`: u8 family, u8 prefix length, u16 key length, be32[4] address, u8[80] key (never kept). */
function md5(view: DataView, at: number, size: number): string[] {
  const peers: string[] = [];
  for (let i = at; i + 100 <= at + size; i += 100) {
    const six = view.getUint8(i) === AF_INET6;
    peers.push(`${address(view, i + 4, six)}/${view.getUint8(i + 1)}`);
  }
  return peers;
}

function unixName(view: DataView, at: number, size: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, size);
  // an abstract name begins with NUL; the kernel's own listings write it as @
  return bytes[0] === 0 && size > 1 ? `@${utf8.decode(bytes.subarray(1)).replaceAll('\0', '@')}` : utf8.decode(bytes).replace(/\0+$/, '');
}

const utf8 = new TextDecoder();

function address(view: DataView, at: number, six: boolean): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, six ? 16 : 4);
  return (six ? ipv6Text(bytes) : ipv4Text(bytes)) ?? '';
}
