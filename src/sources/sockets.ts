import { closeSync } from 'node:fs';
import { SOCKET_QUERIES, type SocketQuery } from '../model/socket.ts';
import type { Maybe, Unavailable } from '../model/unavailable.ts';
import { AF_NETLINK, EINTR, ENOENT, EPERM, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET, SO_RCVBUF, SO_RCVBUFFORCE, errnoName, pollReadable, recv, send, setsockopt, socket } from './sys/ffi.ts';
import { withinNetns } from './sys/netns.ts';

/**
 * Lists sockets with sock_diag(7): one dump request, the kernel's datagrams one after the other as the answer.
 * Format: include/uapi/linux/{sock_diag,inet_diag,unix_diag,packet_diag}.h. Read only; the file formats/sock-diag.ts
 * decodes it.
 */
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_PACKET = 17;
const IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_RAW = 255;
const TCP_LISTEN = 10;
/** INET_DIAG_INFO (2), SKMEMINFO (7), SHUTDOWN (8) as bits of idiag_ext. MD5 keys come with INFO only. */
const EXT = (1 << 6) | (1 << 7);
const EXT_INFO = 1 << 1;
const INET_DIAG_MD5SIG = 18;
const INET_MSG = 72;

/** 100,000 sockets take some 20 MB. */
const MOST_BYTES = 64 * 1024 * 1024;
const ANSWER_MS = 2000;
const BUFFER = 256 * 1024;

/** `what` is one of {@link SOCKET_QUERIES}. The namespace is whydrop's own without a path. */
export function readSockets(netnsPath: string | undefined, what: string): Maybe<Uint8Array> {
  const query = SOCKET_QUERIES.find((q) => q === what);
  if (query === undefined) return { unavailable: 'failed', what: `listing sockets ${JSON.stringify(what)}`, why: `expected one of ${SOCKET_QUERIES.join(', ')}` };
  return netnsPath === undefined ? dump(query) : withinNetns(netnsPath, () => dump(query));
}

function dump(query: SocketQuery): Maybe<Uint8Array> {
  const what = `listing ${query} sockets with sock_diag`;
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return refused(what, -fd);
  try {
    const size = Buffer.alloc(4);
    size.writeInt32LE(4 * 1024 * 1024);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size);
    const sent = send(fd, request(query));
    if (sent < 0) return refused(what, -sent);
    return receive(fd, what);
  } finally {
    closeSync(fd);
  }
}

function request(query: SocketQuery): Buffer {
  if (query === 'unix') {
    // struct unix_diag_req: states, then what to show: NAME 1, RQLEN 0x10, MEMINFO 0x20, UID 0x40
    const r = message(24);
    r[16] = AF_UNIX;
    r.writeUInt32LE(0xffffffff, 20);
    r.writeUInt32LE(0x71, 28);
    return r;
  }
  if (query === 'packet') {
    const r = message(20); // struct packet_diag_req: INFO 1, MEMINFO 0x10, FILTER 0x20
    r[16] = AF_PACKET;
    r.writeUInt32LE(0x31, 24);
    return r;
  }
  const listen = query.endsWith('-listen');
  const r = message(56); // struct inet_diag_req_v2
  r[16] = query.includes('6') ? AF_INET6 : AF_INET;
  r[17] = query.startsWith('tcp') ? IPPROTO_TCP : query.startsWith('udp') ? IPPROTO_UDP : IPPROTO_RAW;
  r[18] = EXT | (listen ? EXT_INFO : 0);
  r.writeUInt32LE(listen ? 1 << TCP_LISTEN : 0xffffffff, 20);
  return r;
}

/** A dump request with room for `size` bytes of body. */
function message(size: number): Buffer {
  const r = Buffer.alloc(16 + size);
  r.writeUInt32LE(r.length, 0);
  r.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  r.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, 6);
  r.writeUInt32LE(1, 8);
  return r;
}

function receive(fd: number, what: string): Maybe<Uint8Array> {
  const parts: Buffer[] = [];
  let total = 0;
  const buffer = Buffer.alloc(BUFFER);
  for (;;) {
    const ready = pollReadable([fd], ANSWER_MS);
    if (ready === -EINTR) continue;
    if (ready <= 0) return { unavailable: 'timeout', what, why: `no answer within ${ANSWER_MS} ms` };
    const n = recv(fd, buffer);
    if (n === -EINTR) continue;
    if (n < 0) return refused(what, -n);
    const part = Buffer.from(buffer.subarray(0, n));
    const error = endOf(part);
    if (error !== undefined && error < 0) return refused(what, -error);
    hideKeys(part);
    parts.push(part);
    total += n;
    if (error !== undefined || n === 0) return Buffer.concat(parts, total);
    if (total > MOST_BYTES) return { unavailable: 'too-large', what, why: `more than ${MOST_BYTES} bytes` };
  }
}

/** The errno (0 or negative) of the message that ends the dump; undefined when it goes on. */
function endOf(datagram: Buffer): number | undefined {
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    const type = datagram.readUInt16LE(at + 4);
    if (type === NLMSG_DONE || type === NLMSG_ERROR) return at + 20 <= datagram.length ? datagram.readInt32LE(at + 16) : 0;
    if (length < 16) return 0;
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** TCP MD5 keys come with the listing; they are secrets and go no further than here, so that no recording holds one. */
function hideKeys(datagram: Buffer): void {
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < 16) return;
    const end = Math.min(at + length, datagram.length);
    for (let a = at + 16 + INET_MSG; a + 4 <= end; ) {
      const size = datagram.readUInt16LE(a);
      if (size < 4) break;
      // struct tcp_diag_md5sig, 100 bytes each: the key is behind 20 bytes of address
      if ((datagram.readUInt16LE(a + 2) & 0x3fff) === INET_DIAG_MD5SIG) for (let k = a + 4; k + 20 < Math.min(a + size, end); k += 100) datagram.fill(0, k + 20, Math.min(k + 100, a + size, end));
      a += (size + 3) & ~3;
    }
    at += (length + 3) & ~3;
  }
}

function refused(what: string, errno: number): Unavailable {
  if (errno === ENOENT) return { unavailable: 'unsupported', what, why: 'ENOENT: the kernel has no sock_diag handler for them', fix: 'modprobe inet_diag tcp_diag udp_diag raw_diag unix_diag af_packet_diag' };
  return { unavailable: errno === EPERM ? 'permission' : 'failed', what, why: errnoName(errno) };
}
