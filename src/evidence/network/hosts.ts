import type { Netns } from '../../base/brand.ts';
import { matchesPrefix } from '../../base/inet.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { InterfaceAddress, Link } from '../../model/network.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { addresses, links } from './read.ts';

/** How many namespaces are looked through for the other end of a conversation, and how many at once. */
const MOST = 64;
const FIRST_ROUND = 10;

/** The host's namespaces, those named most like `near` first, `near` itself at the head. Bounded. */
export function namespaces(evidence: Evidence, near: Netns): readonly Netns[] {
  const own = evidence.host.netnsNames.get(near) ?? '';
  const named = [...evidence.host.netnsNames].filter(([n]) => n !== near);
  const ranked = named.map(([n, name]) => ({ n, like: commonPrefix(own, name), name })).sort((a, b) => b.like - a.like || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const rest = ranked.map((r) => r.n);
  return [near, ...(near === evidence.host.home || rest.includes(evidence.host.home) ? rest : [...rest, evidence.host.home])].slice(0, MOST);
}

/** Looks through the namespaces in two rounds; `pick` gives the findings of one. Undefined: nowhere. */
function search<T>(evidence: Evidence, near: Netns, pick: (netns: Netns) => Maybe<readonly T[]>, enough: (found: readonly T[]) => boolean): Maybe<readonly T[]> {
  const all = namespaces(evidence, near);
  const found: T[] = [];
  for (const round of [all.slice(0, FIRST_ROUND), all.slice(FIRST_ROUND)]) {
    let pending: Maybe<readonly T[]> | undefined;
    for (const netns of round) {
      const some = pick(netns);
      if (isUnavailable(some)) {
        if (some.unavailable === 'pending') pending = some;
      } else found.push(...some);
    }
    if (pending !== undefined) return pending;
    if (enough(found)) break;
  }
  return found;
}

export interface AddressOwner {
  readonly netns: Netns;
  readonly address: InterfaceAddress;
}

/** Every namespace of this host that has the address, that of `near` first. */
export function ownersOfAddress(evidence: Evidence, near: Netns, ip: string): Maybe<readonly AddressOwner[]> {
  return search<AddressOwner>(evidence, near, (netns) => {
    const own = addresses(evidence, netns, 'any');
    return isUnavailable(own) ? own : own.filter((a) => a.address === ip).map((address) => ({ netns, address }));
  }, (found) => found.some((f) => f.netns !== near));
}

/** The other namespace of this host that has the address; undefined when none has (the host is elsewhere, or nowhere). */
export function findOwnerOfAddress(evidence: Evidence, near: Netns, ip: string): Maybe<AddressOwner> | undefined {
  const owners = ownersOfAddress(evidence, near, ip);
  if (isUnavailable(owners)) return owners;
  const elsewhere = owners.filter((o) => o.netns !== near);
  // several strangers may use one private address: only a sole owner, or one named as of the same family, is taken
  return elsewhere.find((o) => alike(evidence, near, o.netns)) ?? (new Set(elsewhere.map((o) => o.netns)).size === 1 ? elsewhere[0] : undefined) ?? owners.find((o) => o.netns === near);
}

export interface Device {
  readonly netns: Netns;
  readonly link: Link;
}

/** Who has this MAC on this host. */
export function findOwnerOfMac(evidence: Evidence, near: Netns, mac: string): Maybe<Device> | undefined {
  const owners = search<Device>(evidence, near, (netns) => {
    const all = links(evidence, netns, 'any');
    return isUnavailable(all) ? all : all.filter((l) => l.address === mac && l.kind !== 'bridge').map((link) => ({ netns, link }));
  }, (found) => found.length > 0);
  return isUnavailable(owners) ? owners : owners[0];
}

/**
 * The other end of a veth pair. The kernel tells its ifindex and a number for its namespace that means nothing
 * elsewhere; so every end that points back is a candidate, and mirrored counters, a shared subnet and likeness of
 * the namespaces' names decide between several.
 */
export function peerOf(evidence: Evidence, netns: Netns, name: string): Maybe<Device> | undefined {
  const all = links(evidence, netns, 'any');
  if (isUnavailable(all)) return all;
  const own = all.find((l) => l.name === name);
  if (own === undefined || own.peerIndex === undefined || (own.kind !== 'veth' && own.kind !== 'netkit')) return undefined;
  if (own.peerNetns === undefined) {
    const here = all.find((l) => l.index === own.peerIndex);
    return here === undefined ? undefined : { netns, link: here };
  }
  const ours = addresses(evidence, netns, 'any');
  const candidates = search<Device & { score: number }>(evidence, netns, (other) => {
    if (other === netns) return [];
    const theirs = links(evidence, other, 'any');
    if (isUnavailable(theirs)) return theirs;
    return theirs.filter((l) => l.kind === own.kind && l.index === own.peerIndex && l.peerIndex === own.index && l.peerNetns !== undefined).map((link) => {
      const there = addresses(evidence, other, 'any');
      return { netns: other, link, score: likeness(evidence, netns, other) + shared(ours, own.name, there, link.name) + mirrored(own, link) };
    });
  }, (found) => found.some((f) => f.score >= 3));
  if (isUnavailable(candidates)) return candidates;
  const best = [...candidates].sort((a, b) => b.score - a.score)[0];
  // ifindexes alone coincide by chance: the true end may be in a namespace without a name
  if (best === undefined || best.score < 0.97) return undefined;
  const fresh = links(evidence, best.netns);
  if (isUnavailable(fresh)) return fresh.unavailable === 'pending' ? fresh : { netns: best.netns, link: best.link };
  return { netns: best.netns, link: fresh.find((l) => l.index === best.link.index) ?? best.link };
}

function shared(ours: Maybe<readonly InterfaceAddress[]>, device: string, theirs: Maybe<readonly InterfaceAddress[]>, other: string): number {
  if (isUnavailable(ours) || isUnavailable(theirs)) return 0;
  return ours.some((a) => a.device === device && a.scope === 'global' && theirs.some((b) => b.device === other && b.scope === 'global' && matchesPrefix(b.address, `${a.address}/${a.prefixLength}`))) ? 2 : 0;
}

function mirrored(a: Link, b: Link): number {
  if (a.stats === undefined || b.stats === undefined) return 0;
  const off = Math.abs(a.stats.rxBytes - b.stats.txBytes) + Math.abs(a.stats.txBytes - b.stats.rxBytes);
  const sum = a.stats.rxBytes + a.stats.txBytes + b.stats.rxBytes + b.stats.txBytes;
  return sum === 0 ? 0 : off === 0 ? 1.5 : 1 - Math.min(1, (2 * off) / sum);
}

function likeness(evidence: Evidence, a: Netns, b: Netns): number {
  return alike(evidence, a, b) ? 1 : 0;
}

/** Named as of one family: `blue-a` and `blue-b`. */
export function alike(evidence: Evidence, a: Netns, b: Netns): boolean {
  const x = evidence.host.netnsNames.get(a), y = evidence.host.netnsNames.get(b);
  return x !== undefined && y !== undefined && commonPrefix(x, y) >= Math.max(3, Math.min(x.length, y.length) - 2);
}

function commonPrefix(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i += 1;
  return i;
}
