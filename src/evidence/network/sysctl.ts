import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { inNetns } from '../netns.ts';
import { sysctls, type Age } from './read.ts';

/**
 * How `conf/all` and `conf/IFACE` make the value that counts (include/linux/inetdevice.h: IN_DEV_MAXCONF, IN_DEV_ORCONF,
 * IN_DEV_ANDCONF, IN_DEV_CONF_GET).
 */
export type Combine = 'max' | 'or' | 'and' | 'interface';

export const COMBINE: Readonly<Record<string, Combine>> = {
  rp_filter: 'max', arp_ignore: 'max', arp_announce: 'max', arp_filter: 'or', accept_local: 'or', route_localnet: 'or',
  drop_unicast_in_l2_multicast: 'or', accept_source_route: 'and', forwarding: 'interface', proxy_arp: 'or', mc_forwarding: 'and',
};

export interface Effective {
  readonly name: string;
  readonly all: number;
  readonly device: number;
  readonly effective: number;
  /** `net.ipv4.conf.eth0.rp_filter`, with slashes where the interface's name holds a dot. */
  readonly key: string;
  readonly allKey: string;
}

/** The value of an IPv4 per-interface sysctl that counts on a device. */
export function ipv4Conf(evidence: Evidence, netns: Netns, name: string, device: string): Maybe<Effective> {
  const values = sysctls(evidence, netns, `net/ipv4/conf/*/${name}`);
  if (isUnavailable(values)) return values;
  const all = Number(values.get(`net/ipv4/conf/all/${name}`) ?? NaN);
  const own = Number(values.get(`net/ipv4/conf/${device}/${name}`) ?? NaN);
  if (Number.isNaN(all) && Number.isNaN(own)) return { unavailable: 'missing', what: `reading net/ipv4/conf/${device}/${name}`, why: 'no such file' };
  const a = Number.isNaN(all) ? 0 : all, d = Number.isNaN(own) ? a : own;
  const effective = { max: Math.max(a, d), or: a !== 0 || d !== 0 ? 1 : 0, and: a !== 0 && d !== 0 ? 1 : 0, interface: d }[COMBINE[name] ?? 'interface'];
  return { name, all: a, device: d, effective, key: key('ipv4', device, name), allKey: key('ipv4', 'all', name) };
}

function key(family: 'ipv4' | 'ipv6', device: string, name: string): string {
  return device.includes('.') ? `net/${family}/conf/${device}/${name}` : `net.${family}.conf.${device}.${name}`;
}

/** One IPv6 per-interface sysctl: where it is not the interface's alone, each user combines it itself. */
export function ipv6Conf(evidence: Evidence, netns: Netns, name: string, device: string): Maybe<Effective> {
  const values = sysctls(evidence, netns, `net/ipv6/conf/*/${name}`);
  if (isUnavailable(values)) return values;
  const all = Number(values.get(`net/ipv6/conf/all/${name}`) ?? NaN);
  const own = Number(values.get(`net/ipv6/conf/${device}/${name}`) ?? NaN);
  if (Number.isNaN(all) && Number.isNaN(own)) return { unavailable: 'missing', what: `reading net/ipv6/conf/${device}/${name}`, why: 'no such file' };
  const a = Number.isNaN(all) ? 0 : all, d = Number.isNaN(own) ? a : own;
  return { name, all: a, device: d, effective: d, key: key('ipv6', device, name), allKey: key('ipv6', 'all', name) };
}

/** The numbers in one sysctl: `net/ipv4/ip_local_port_range` is 32768 and 60999. */
export function sysctlNumbers(evidence: Evidence, netns: Netns, path: string, age: Age = 'fresh'): Maybe<readonly number[]> {
  const values = sysctls(evidence, netns, path, age);
  if (isUnavailable(values)) return values;
  const text = values.get(path) ?? '';
  const numbers = text.split(/\s+/).filter((word) => word !== '').map(Number);
  return numbers.length > 0 && numbers.every((n) => Number.isFinite(n)) ? numbers : { unavailable: 'malformed', what: `reading ${path}`, why: `${JSON.stringify(text.slice(0, 40))} is not a number` };
}

/** One number; the first of several. */
export function sysctlNumber(evidence: Evidence, netns: Netns, path: string): Maybe<number> {
  const numbers = sysctlNumbers(evidence, netns, path);
  return isUnavailable(numbers) ? numbers : numbers[0] ?? NaN;
}

/** The first number of a sysctl as it was last read, however long ago: a limit that seldom changes, good for words. */
export function lastSysctl(evidence: Evidence, netns: Netns, path: string): number | undefined {
  const numbers = sysctlNumbers(evidence, netns, path, 'any');
  return isUnavailable(numbers) ? undefined : numbers[0];
}

/** `ip netns exec blue sysctl -w a=1 b=2` */
export function sysctlSet(evidence: Evidence, netns: Netns, settings: readonly (readonly [key: string, value: number | string])[]): string {
  return inNetns(evidence, netns, `sysctl -w ${settings.map(([k, v]) => shellQuote(`${k}=${v}`)).join(' ')}`);
}
