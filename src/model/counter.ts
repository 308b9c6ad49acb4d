import type { CallCountEvent, CallEvent, DropCountEvent, DropEvent } from './event.ts';

/** One counter of drops: the key of the kernel-side map. */
export function countKey(c: { place: { address: bigint }; reason: { number: number }; netns: number; ifindex: number; protocol: number }): string {
  return `${c.netns}|${c.place.address}|${c.reason.number}|${c.ifindex}|${c.protocol}`;
}

/** One counter of failed calls. */
export const callKey = (pid: number, syscall: string, errno: string): string => `call|${pid}|${syscall}|${errno}`;

/** The counter that a reading is of, or that counted what was described; undefined for what no counter counts. */
export function counterKey(event: DropEvent | DropCountEvent | CallEvent | CallCountEvent): string | undefined {
  switch (event.kind) {
    case 'drop':
      return event.probe === 'bpf' ? countKey(event) : undefined;
    case 'drop-count':
      return countKey(event);
    case 'call':
      return event.attempt === undefined ? callKey(event.task.pid, event.syscall, event.errno) : undefined;
    case 'call-count':
      return callKey(event.pid, event.syscall, event.errno);
  }
}

const ETHERTYPE: Readonly<Record<number, string>> = { 0: 'none', 0x0800: 'ip', 0x0806: 'arp', 0x86dd: 'ipv6' };

/** `ip`, `ipv6`, `arp`, `none`; the number as `0x88cc` for others. */
export const ethertypeName = (protocol: number): string => ETHERTYPE[protocol] ?? `0x${protocol.toString(16).padStart(4, '0')}`;
