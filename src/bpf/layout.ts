/**
 * The byte layouts of our own records, used by the programs that write them and by the decoder that reads them. Little
 * endian. A record begins with its kind and layout version; offsets are from the start of the record.
 */

export const LAYOUT_VERSION = 1;
/** First u32 of a record: kind in the low half, version in the high one. */
export const RECORD_KIND = { drop: 1, call: 2, exec: 3, connect: 4 } as const;
export const kindWord = (kind: number): number => (LAYOUT_VERSION << 16) | kind;

/** struct sock, as far as we read it: 80 bytes. All zero: no socket. */
export const SOCK = {
  address: 0, //     u64
  family: 8, //      u16
  state: 10, //      u8
  type: 12, //       u16, 0 for request and time-wait sockets
  protocol: 14, //   u16
  netns: 16, //      u32 inode
  localPort: 20, //  u16 host order
  remotePort: 22, // u16 network order
  local: 24, //      16 bytes; IPv4 in the first four
  remote: 40, //     16 bytes
  inode: 56, //      u64, 0: no file
  rmem: 64, //       u32 sk_rmem_alloc
  rcvbuf: 68, //     u32 sk_rcvbuf
  size: 80,
} as const;

export const HEAD_BYTES = 192;
export const STACK_FRAMES = 40;
export const TUPLE_BYTES = 40; // struct nf_conntrack_tuple is 40 bytes on every kernel so far; checked against BTF

export const DROP = {
  kind: 0, //        u32
  cpu: 4, //         u32
  time: 8, //        u64 CLOCK_MONOTONIC ns
  skb: 16, //        u64
  location: 24, //   u64
  reason: 32, //     u32
  netns: 36, //      u32 inode
  ifindex: 40, //    u32
  protocol: 44, //   u32 ethertype, host order
  length: 48, //     u32 skb->len
  dataLength: 52, // u32 skb->data_len
  mark: 56, //       u32
  iif: 60, //        u32 skb_iif
  pidTgid: 64, //    u64
  uid: 72, //        u32
  ipSummed: 76, //   u32 skb->ip_summed, see IP_SUMMED
  cgroup: 80, //     u64
  comm: 88, //       16 bytes
  device: 104, //    16 bytes
  mac: 120, //       u16 skb->mac_header, 0xffff: unset
  network: 122, //   u16
  transport: 124, // u16, 0xffff: unset
  data: 126, //      u16 skb->data - skb->head
  window: 128, //    u16 where the copied window begins, from skb->head
  copied: 130, //    u16 bytes copied
  budget: 132, //    u32, see BUDGET
  nfct: 136, //      u64 skb->_nfct
  original: 144, //  struct nf_conntrack_tuple
  reply: 184,
  status: 224, //    u64 nf_conn->status
  ctMark: 232, //    u32
  stackBytes: 236, // s32
  sk: 240, //        SOCK
  nth: 312, //       u64 the counter's packets on this CPU, this one included; in the end of `sk`, which holds nothing. 0: recorded before 2026-11-23
  receiver: 320, //  SOCK
  head: 400,
  stack: 592, //     u64 × STACK_FRAMES, innermost first
  size: 592 + 8 * STACK_FRAMES,
} as const;

/** How a packet came to be described: of the counter's budget; past it, because its flow was new; with the last of the budget (since 2026-11-23, 0 before). */
export const BUDGET = { own: 0, newcomer: 1, spent: 2 } as const;

/** include/linux/skbuff.h: who has checked, or is to fill in, the transport checksum. */
export const IP_SUMMED = { none: 0, unnecessary: 1, complete: 2, partial: 3 } as const;

/** Key and value of the drop counters (per-CPU hash). */
export const COUNT_KEY = { location: 0, reason: 8, netns: 12, ifindex: 16, protocol: 20, size: 24 } as const;
export const COUNT_VALUE = { packets: 0, bytes: 8, tokens: 16, refilled: 24, newcomer: 32 /* until when the budget of new flows is spent */, size: 40 } as const;
/** Key of the counters of failed calls; the value is COUNT_VALUE. A row of a call-counts record: the key, then the number summed over CPUs. */
export const CALL_KEY = { tgid: 0, call: 4, size: 8 } as const; // call: nr << 16 | errno
export const CALL_ROW = { calls: 8, size: 16 } as const;
/** A row of a drop-counts record: the key, then packets and bytes summed over CPUs. */
export const COUNT_ROW = { packets: 24, bytes: 32, size: 40 } as const;

export const CALL = {
  kind: 0, cpu: 4, time: 8,
  pidTgid: 16, //    u64
  uid: 24, //        u32
  nr: 28, //         u32 system call number
  cgroup: 32, //     u64
  comm: 40, //       16 bytes
  errno: 56, //      u32
  netns: 60, //      u32
  args: 64, //       u64 × 6
  addressLength: 112, // u32
  seccomp: 116, //   u32 task->seccomp.mode
  address: 120, //   32 bytes of struct sockaddr, of the call itself
  sk: 152, //        SOCK
  size: 232,
} as const;

/** A record of kind connect has the layout CALL; its `args` are these, its `nr` and `address` are empty. */
export const CONNECT_ARGS = { waited: 0 /* u64 ns in SYN_SENT */, resent: 8 /* u32 SYNs sent again */, port: 12 /* u16 local, network order: the socket has given it back */ } as const;
/** Who began to connect, by struct sock: value of the map `connecting`. */
export const CONNECTING = { pidTgid: 0, uid: 8, nonblocking: 12, cgroup: 16, began: 24, comm: 32, size: 48 } as const;

export const EXEC = {
  kind: 0, cpu: 4, time: 8, pidTgid: 16, uid: 24, parent: 28, cgroup: 32, comm: 40,
  netns: 56, //      u32
  argvLength: 60, // u32
  filename: 64, //   128 bytes
  argv: 192, //      256 bytes, zero separated
  size: 448,
} as const;
export const FILENAME_BYTES = 128;
export const ARGV_BYTES = 256;
