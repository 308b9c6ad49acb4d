import { cString, u16le, u32le } from '../base/bytes.ts';

/**
 * Netlink messages and attributes (include/uapi/linux/netlink.h; netlink(7)) of a little-endian kernel. No length is
 * trusted: what does not fit its surroundings ends the walk, and the walk always moves on.
 */
export const NLMSG_NOOP = 1, NLMSG_ERROR = 2, NLMSG_DONE = 3;
export const NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_DUMP_INTR = 0x10;
export const NLMSG_HEADER = 16;
const NLA_TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

/** One message: its header, and where its body lies in the bytes that were walked. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port id of the socket that the message answers, or whose request caused an event. */
  readonly port: number;
  readonly from: number;
  readonly to: number;
}

/** How the walk ended: `complete` with all bytes used, else what stood in the way. */
export type WalkStatus = 'complete' | 'cut' | 'bad-length';

/** Calls `visit` for each whole message. `false` from it ends the walk. */
export function walkMessages(bytes: Uint8Array, visit: (message: NetlinkMessage) => boolean | void): WalkStatus {
  let at = 0;
  while (at + NLMSG_HEADER <= bytes.length) {
    const length = u32le(bytes, at)!;
    if (length < NLMSG_HEADER) return 'bad-length';
    if (at + length > bytes.length) return 'cut';
    const message: NetlinkMessage = { type: u16le(bytes, at + 4)!, flags: u16le(bytes, at + 6)!, sequence: u32le(bytes, at + 8)!, port: u32le(bytes, at + 12)!, from: at + NLMSG_HEADER, to: at + length };
    if (visit(message) === false) return 'complete';
    at += (length + 3) & ~3;
  }
  return at >= bytes.length ? 'complete' : 'cut';
}

/**
 * Calls `visit` for each attribute in `[from, to)` with where its payload lies; flags (NLA_F_NESTED,
 * NLA_F_NET_BYTEORDER) are taken off the type. False when a length did not fit: what came before is right.
 */
export function walkAttributes(bytes: Uint8Array, from: number, to: number, visit: (type: number, from: number, to: number) => void): boolean {
  const end = Math.min(to, bytes.length);
  let at = from;
  while (at + 4 <= end) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    if (length < 4 || at + length > end) return false;
    visit((bytes[at + 2]! | (bytes[at + 3]! << 8)) & NLA_TYPE_MASK, at + 4, at + length);
    at += (length + 3) & ~3;
  }
  return at >= end;
}

export interface NetlinkError {
  /** Positive errno; 0 is an acknowledgement. */
  readonly errno: number;
  /** The kernel's own words (extended acknowledgement, 4.12+). */
  readonly text?: string;
}

/** The body of NLMSG_ERROR: `int error`, the request's header (and body unless NLM_F_CAPPED), then attributes. */
export function decodeNetlinkError(bytes: Uint8Array, message: NetlinkMessage): NetlinkError | undefined {
  const code = u32le(bytes, message.from);
  if (code === undefined || message.from + 4 > message.to) return undefined;
  const errno = -(code | 0);
  const copied = (message.flags & 0x100) !== 0 ? NLMSG_HEADER : (u32le(bytes, message.from + 4) ?? NLMSG_HEADER);
  let text: string | undefined;
  if ((message.flags & 0x200) !== 0) {
    walkAttributes(bytes, message.from + 4 + ((copied + 3) & ~3), message.to, (type, from, to) => {
      if (type === NLMSGERR_ATTR_MSG) text = cString(bytes, from, to - from);
    });
  }
  return text === undefined ? { errno } : { errno, text };
}
