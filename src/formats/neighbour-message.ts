import { ipv4Text, ipv6Text } from '../base/inet.ts';
import { u16le, u32le } from '../base/bytes.ts';
import { walkAttributes, walkMessages } from './netlink.ts';

/** An entry of the neighbour table that still waits for its first answer. */
export interface WaitingNeighbour {
  readonly address: string;
  readonly ifindex: number;
  /** Since the first request went out. */
  readonly waitedMs: number;
}

const RTM_NEWNEIGH = 28;
const NDMSG = 12;
const NUD_INCOMPLETE = 0x01;
const NTF_PROXY = 0x08;
const NDA_DST = 1, NDA_CACHEINFO = 3;
/** nda_cacheinfo counts in USER_HZ, 100 a second on every architecture but Alpha. */
const TICK_MS = 10;
const MOST = 64;

/**
 * Those entries of an RTM_GETNEIGH dump that are INCOMPLETE, the longest wait first, at most {@link MOST}. `struct ndmsg`:
 * u8 family, 3 bytes of padding, s32 ifindex, u16 state, u8 flags, u8 type; then attributes. `ndm_updated` of
 * nda_cacheinfo is the age of the state: __neigh_event_send sets it with the first request, repetitions leave it.
 * Source: include/uapi/linux/neighbour.h, net/core/neighbour.c, Linux 6.18.
 */
export function decodeWaitingNeighbours(bytes: Uint8Array): readonly WaitingNeighbour[] {
  const waiting: WaitingNeighbour[] = [];
  walkMessages(bytes, (m) => {
    if (m.type !== RTM_NEWNEIGH || m.from + NDMSG > m.to) return;
    const ifindex = u32le(bytes, m.from + 4) ?? 0;
    if (((u16le(bytes, m.from + 8) ?? 0) & NUD_INCOMPLETE) === 0 || ((bytes[m.from + 10] ?? 0) & NTF_PROXY) !== 0) return;
    let address: string | undefined;
    let updated: number | undefined;
    walkAttributes(bytes, m.from + NDMSG, m.to, (type, from, to) => {
      if (type === NDA_DST) address = to - from === 4 ? ipv4Text(bytes.subarray(from, to)) : to - from === 16 ? ipv6Text(bytes.subarray(from, to)) : undefined;
      else if (type === NDA_CACHEINFO && to - from >= 12) updated = u32le(bytes, from + 8);
    });
    if (address !== undefined && updated !== undefined) waiting.push({ address, ifindex, waitedMs: updated * TICK_MS });
  });
  return waiting.sort((a, b) => b.waitedMs - a.waitedMs).slice(0, MOST);
}
