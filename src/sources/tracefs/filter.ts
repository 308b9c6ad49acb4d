/**
 * In-kernel filters (Documentation/trace/events.rst, "Event filtering"): what they turn away never reaches the buffer.
 * Pure: text in, text out.
 */

export interface KernelFilterInput {
  /** Fields that this kernel's event has. */
  readonly fields: ReadonlySet<string>;
  /** Never report this thread's own packets; undefined where its number in the first pid namespace isn't known. */
  readonly self?: number;
  /** Numbers of drop reasons that are normal. */
  readonly reasons: readonly number[];
  /** Functions whose frees are normal: `[from, to)`. */
  readonly locations: readonly { readonly from: bigint; readonly to: bigint }[];
  /** Single places that were learned to be everyday here. */
  readonly learned?: readonly bigint[];
}

/** The kernel takes a filter of less than a page. */
const LONGEST = 4000;

/** For `skb:kfree_skb`; empty when there is nothing to turn away. What doesn't fit is left out, from the end: more is seen then, not less. */
export function kernelFilter(input: KernelFilterInput): string {
  const parts: string[] = [];
  if (input.self !== undefined && input.fields.has('common_pid')) parts.push(`common_pid != ${input.self}`);
  if (input.fields.has('reason')) for (const reason of input.reasons) parts.push(`reason != ${reason}`);
  if (input.fields.has('location')) {
    for (const { from, to } of input.locations) {
      if (to > from) parts.push(`(location < 0x${from.toString(16)} || location >= 0x${to.toString(16)})`);
    }
  }
  if (input.fields.has('location')) for (const place of input.learned ?? []) parts.push(`location != 0x${place.toString(16)}`);
  let text = '';
  for (const part of parts) {
    const longer = text === '' ? part : `${text} && ${part}`;
    if (longer.length > LONGEST) break;
    text = longer;
  }
  return text;
}

/**
 * Reasons that come with healthy traffic at any rate and never with a lost network packet: local sockets that closed,
 * segments merged into others. By name, since numbers move.
 */
export const NORMAL_REASONS: readonly string[] = ['UNIX_DISCONNECT', 'UNIX_SKIP_OOB', 'TCP_OFOMERGE'];

/**
 * Functions that free by kfree_skb what has been delivered or never was a packet of the network: unix and netlink
 * sockets, spanning-tree frames, which end in br_stp_rcv whatever becomes of them.
 */
export const NORMAL_FUNCTIONS: readonly string[] = [
  'unix_stream_connect', 'unix_release_sock', 'unix_dgram_sendmsg', 'unix_stream_sendmsg', 'unix_stream_read_generic', 'unix_stream_read_skb',
  'netlink_broadcast_filtered', 'netlink_broadcast', 'netlink_recvmsg', 'netlink_skb_destructor', 'br_stp_rcv', 'llc_rcv', 'uevent_net_broadcast_untagged',
];

/** errnos of a non-blocking or interrupted call: EAGAIN, EINTR, EINPROGRESS, EALREADY. */
const NOT_ERRORS = [11, 4, 115, 114] as const;
/** errnos by which a file descriptor is recognised as a socket's: EPERM EMSGSIZE ENETDOWN ENETUNREACH ENOBUFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH. */
const OF_NETWORK = [1, 90, 100, 101, 105, 110, 111, 112, 113] as const;

/** For `syscalls:sys_exit_*`: failures only; restart codes (512 and above) aren't seen by the caller. */
export function callFilter(syscall: string, self?: number): string {
  const anyFile = /^(read|write|readv|writev|sendfile|sendfile64|recvfrom|recvmsg|recvmmsg)/.test(syscall);
  const errors = anyFile ? `(${OF_NETWORK.map((e) => `ret == -${e}`).join(' || ')})` : ['ret < 0', 'ret > -512', ...NOT_ERRORS.map((e) => `ret != -${e}`)].join(' && ');
  return self === undefined ? errors : `${errors} && common_pid != ${self}`;
}
