/** A socket as sock_diag(7) tells of it: a photograph, seconds old at most. */
export interface Socket {
  readonly family: 'inet' | 'inet6' | 'unix' | 'packet';
  /** IANA number of the transport (6 TCP, 17 UDP); for raw sockets the protocol they read, for packet sockets the ethertype. */
  readonly protocol: number;
  readonly kind: 'tcp' | 'udp' | 'raw' | 'unix' | 'packet';
  readonly state: SocketState;
  /** `0.0.0.0`, `::` for any; the name for unix sockets; empty for packet sockets. */
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  /** 0: no file holds it (time-wait, request, orphaned). */
  readonly inode: number;
  readonly uid: number;
  /** Device it is bound to (SO_BINDTODEVICE), 0: any. */
  readonly ifindex: number;
  /** Bytes not yet read; of a TCP listener the connections not yet accepted. */
  readonly receiveQueue: number;
  /** Bytes not yet sent or acknowledged; of a TCP listener the largest number of connections that may wait (its effective backlog). */
  readonly sendQueue: number;
  readonly memory?: SocketMemory;
  /** cgroup v2 id of the socket (inode number of the cgroup's directory). Kernel 5.9+. */
  readonly cgroup?: bigint;
  /** SO_MARK; only told to CAP_NET_ADMIN. */
  readonly mark?: number;
  /** Has data to send, and asks now and then whether the other side has opened its window (TCP). */
  readonly probing?: boolean;
  /** 1: no more receiving, 2: no more sending, 3: both. */
  readonly shutdown?: number;
  /** An IPv6 socket that takes no IPv4. */
  readonly v6only?: boolean;
  /** Peers for which a TCP MD5 key is set (RFC 2385); `address/prefix`. */
  readonly md5Peers?: readonly string[];
  /** A packet socket's classic filter is attached. */
  readonly filtered?: boolean;
}

/** `enum sk_meminfo`, bytes except `drops`. */
export interface SocketMemory {
  readonly receiveAllocated: number;
  readonly receiveBuffer: number;
  readonly sendAllocated: number;
  readonly sendBuffer: number;
  readonly backlog: number;
  /** Packets that this socket itself has dropped since it was made: full buffer, bad checksum, a listener's overflow. */
  readonly drops: number;
}

/** TCP states of include/net/tcp_states.h; datagram sockets are `established` (connected) or `close`. */
export type SocketState =
  | 'established' | 'syn-sent' | 'syn-recv' | 'fin-wait-1' | 'fin-wait-2' | 'time-wait' | 'close' | 'close-wait'
  | 'last-ack' | 'listen' | 'closing' | 'new-syn-recv' | 'unknown';

export interface SocketTable {
  readonly sockets: readonly Socket[];
  /** `partial`: something in the dump could not be decoded, or the kernel broke it off; what is here is right. */
  readonly status: 'complete' | 'partial';
  readonly why?: string;
}

/** What can be asked of the topic `sockets`. `tcp-listen` holds listeners only, for hosts with many connections. */
export const SOCKET_QUERIES = ['udp', 'udp6', 'tcp', 'tcp6', 'tcp-listen', 'tcp6-listen', 'raw', 'raw6', 'unix', 'packet'] as const;
export type SocketQuery = (typeof SOCKET_QUERIES)[number];
