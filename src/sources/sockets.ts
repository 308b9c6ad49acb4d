import { SOCKET_QUERIES, type SocketQuery } from '../model/socket.ts';
import { isUnavailable, type Maybe } from '../model/unavailable.ts';
import { NETLINK_SOCK_DIAG, openNetlink } from './sys/netlink.ts';

/**
 * Lists sockets with sock_diag(7): one dump request, the kernel's datagrams one after the other as the answer.
 * Format: include/uapi/linux/{sock_diag,inet_diag,unix_diag,packet_diag}.h. Read only; the file formats/sock-diag.ts
 * decodes it.
 */
const SOCK_DIAG_BY_FAMILY = 20;
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

/** `what` is one of {@link SOCKET_QUERIES}. The namespace is whydrop's own without a path. */
export function readSockets(netnsPath: string | undefined, what: string): Maybe<Uint8Array> {
  const query = SOCKET_QUERIES.find((q) => q === what);
  if (query === undefined) return { unavailable: 'failed', what: `listing sockets ${JSON.stringify(what)}`, why: `expected one of ${SOCKET_QUERIES.join(', ')}` };
  const doing = `listing ${query} sockets with sock_diag`;
  const socket = openNetlink(netnsPath, NETLINK_SOCK_DIAG, { what: doing });
  if (isUnavailable(socket)) return socket;
  try {
    const dump = socket.dump(SOCK_DIAG_BY_FAMILY, request(query), MOST_BYTES);
    if (isUnavailable(dump)) return dump.why.startsWith('ENOENT') ? { unavailable: 'unsupported', what: doing, why: `${dump.why}: the kernel has no sock_diag handler for them`, fix: 'a kernel with INET_DIAG, INET_UDP_DIAG, INET_RAW_DIAG, UNIX_DIAG, PACKET_DIAG' } : dump;
    if (dump.status === 'limit') return { unavailable: 'too-large', what: doing, why: `more than ${MOST_BYTES} bytes` };
    const bytes = Buffer.from(dump.bytes.buffer, dump.bytes.byteOffset, dump.bytes.length);
    hideKeys(bytes);
    return bytes;
  } finally {
    socket.close();
  }
}

function request(query: SocketQuery): Buffer {
  if (query === 'unix') {
    // struct unix_diag_req: states, then what to show: NAME 1, RQLEN 0x10, MEMINFO 0x20, UID 0x40
    const r = Buffer.alloc(24);
    r[0] = AF_UNIX;
    r.writeUInt32LE(0xffffffff, 4);
    r.writeUInt32LE(0x71, 12);
    return r;
  }
  if (query === 'packet') {
    const r = Buffer.alloc(20); // struct packet_diag_req: INFO 1, MEMINFO 0x10, FILTER 0x20
    r[0] = AF_PACKET;
    r.writeUInt32LE(0x31, 8);
    return r;
  }
  const listen = query.endsWith('-listen');
  const r = Buffer.alloc(56); // struct inet_diag_req_v2
  r[0] = query.includes('6') ? AF_INET6 : AF_INET;
  r[1] = query.startsWith('tcp') ? IPPROTO_TCP : query.startsWith('udp') ? IPPROTO_UDP : IPPROTO_RAW;
  r[2] = EXT | (listen ? EXT_INFO : 0);
  r.writeUInt32LE(listen ? 1 << TCP_LISTEN : 0xffffffff, 4);
  return r;
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
