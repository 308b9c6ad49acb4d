import type { EvidenceRecord, Stamp, TraceRecord } from './evidence-record.ts';
import { wallTime } from './wall-time.ts';

/* What pwru's table and its JSON have in common. Source: its output.go, 2022 to 2026. */

/** The functions that free a dropped packet; the reason in brackets, by number where the kernel's BTF has no name for it. */
export const FREED = /(?:^|\s)(?:kfree_skb_reason|sk_skb_reason_drop|kfree_skb_list_reason|kfree_skb)(?:\((?:SKB_DROP_REASON_)?(\w+)\)| \((\d+)\))?(?:\s+([A-Za-z_][\w.]*(?:\[[\w-]+\])?))?(?=\s|$)/;

export type PwruClock = 'kernel' | 'relative' | 'none';

/**
 * `--timestamp current` prints the kernel's clock in ns; `relative` counts from the event before of the same packet, so each
 * packet begins at 0: no clock at all. Nothing says which it was but the numbers.
 */
export function pwruClock(times: readonly bigint[]): PwruClock {
  if (times.length === 0) return 'none';
  let latest = 0n;
  for (const t of times) {
    // no tool runs in the first second after boot; buffers of CPUs are read one after another, a little out of order
    if (t < SECOND || t + 60n * SECOND < latest) return 'relative';
    if (t > latest) latest = t;
  }
  return 'kernel';
}

const SECOND = 1_000_000_000n;

/** The time of an event: what pwru printed of it, by the clock that its numbers are of. */
export function pwruTime(clock: PwruClock, line: number, kernel: bigint | undefined, printed: string | undefined): Pick<TraceRecord, 'time' | 'stamp' | 'keeps'> & { readonly clocks: readonly EvidenceRecord[] } {
  const stamp = printed === undefined ? undefined : wallTime(printed)?.stamp;
  if (clock === 'kernel' && kernel !== undefined) return { time: kernel, clocks: stamp === undefined ? [] : [pair(line, stamp, kernel)] };
  if (stamp !== undefined) return { time: stamp.ns, stamp, clocks: [] };
  const day = /^(\d\d):(\d\d):(\d\d)\.(\d{1,9})$/.exec(printed ?? '');
  if (day !== null) return { time: (BigInt(day[1]!) * 3600n + BigInt(day[2]!) * 60n + BigInt(day[3]!)) * SECOND + BigInt(day[4]!.padEnd(9, '0')), keeps: 'day', clocks: [] };
  return { time: BigInt(line), keeps: 'order', clocks: [] };
}

const pair = (line: number, stamp: Stamp, mono: bigint): EvidenceRecord => ({ kind: 'clocks', line, wall: stamp.ns, mono, named: false, zone: stamp.zone });

/** `eth0:2`, `~long-name0:12` (its last 16 characters), `br(inner)`, or the index alone. */
export function deviceOf(text: string | undefined): { readonly interface?: string; readonly ifindex?: number } {
  const m = /^(.*?)(?::(\d{1,9})|\(.*)?$/.exec(text ?? '');
  const name = m?.[1] ?? '', index = /^\d{1,9}$/.test(name) ? name : m?.[2];
  return { ...(name === '' || name === index ? {} : { interface: name }), ...(index === undefined || index === '0' ? {} : { ifindex: Number(index) }) };
}

/** Network byte order before October 2023: 8 is IPv4. */
export function ethertypeOf(value: number | undefined): number | undefined {
  return value === 0x0008 ? 0x0800 : value === 0xdd86 ? 0x86dd : value === 0x0608 ? 0x0806 : value;
}

export function netnsOf(inode: number | undefined, name: string | undefined): NonNullable<TraceRecord['told']>['netns'] | undefined {
  return inode === undefined || !(Number.isInteger(inode) && inode > 0 && inode <= 0xffff_ffff) ? undefined : { inode, ...(name === undefined || name === '' ? {} : { name }) };
}

