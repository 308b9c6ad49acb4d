import type { Netns } from '../../base/brand.ts';
import { parsePrefix } from '../../base/inet.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { InterfaceAddress } from '../../model/network.ts';
import type { Maybe } from '../../model/unavailable.ts';
import * as network from '../network/read.ts';

/** The addresses of a namespace; they change seldom, so the last reading serves. */
export function addresses(evidence: Evidence, netns: Netns): Maybe<readonly InterfaceAddress[]> {
  return network.addresses(evidence, netns, 'any');
}

/**
 * The interface whose directed broadcast address that is: the last address of its subnet (the kernel makes a
 * broadcast route for it, fib_add_ifaddr()). `255.255.255.255` is every interface's.
 */
export function broadcastOf(list: readonly InterfaceAddress[], address: string): InterfaceAddress | undefined {
  return list.find((a) => a.family === 4 && a.prefixLength < 31 && a.device !== 'lo' && (lastOf(a) === address || address === '255.255.255.255'));
}

export function isOwn(list: readonly InterfaceAddress[], address: string): boolean {
  return list.some((a) => a.address === address) || address.startsWith('127.') || address === '::1';
}

function lastOf(a: InterfaceAddress): string | undefined {
  const net = parsePrefix(`${a.address}/${a.prefixLength}`);
  if (net === undefined) return undefined;
  const host = net.length === 0 ? 0xffffffff : 0xffffffff >>> net.length;
  const n = new DataView(net.bytes.buffer, net.bytes.byteOffset).getUint32(0) | host;
  return [24, 16, 8, 0].map((shift) => (n >>> shift) & 0xff).join('.');
}
