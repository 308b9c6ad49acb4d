import type { Mono, Netns } from '../base/brand.ts';
import { placeText } from '../base/symbol.ts';
import type { Incident, Severity, Victim } from '../model/incident.ts';
import type { Symptom } from '../model/symptom.ts';
import type { Verdict } from './judge.ts';
import type { Sign } from './signs.ts';

/** An incident as it grows: one cause with one identity in one namespace, with all signs that led to it. */
export interface Growing {
  readonly key: string;
  readonly id: string;
  readonly netns: Netns;
  /** Of an incident about many conversations: hashes of the keys of all of them, its own and the few that have incidents of their own. */
  readonly alike?: ReadonlySet<number>;
  verdict: Verdict;
  readonly signs: Sign[];
  /** When it was last given out, and a hash of what it looked like then. */
  shown?: { readonly time: Mono; readonly hash: number; readonly open: boolean };
  /** Who suffered, as known when it was over last. */
  known?: ReadonlyMap<string, Victim>;
  rejudged: Mono;
  /** Something about it has changed since it was drawn last. */
  changed: boolean;
}

export function incidentKey(netns: Netns, verdict: Verdict): string {
  return `${netns}|${verdict.cause.id}|${verdict.found.identity}`;
}

/** 53 bits of a text, to tell whether it changed (the two halves of cyrb53: multiply and xor). */
export function hashOf(text: string): number {
  let a = 0xdeadbeef, b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

/** A short stable name: the same key gives the same id on any machine (FNV-1a). */
export function incidentId(key: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash ^= key.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash.toString(36).padStart(7, '0');
}

/** Nothing lost for this long: it is over. */
export const QUIET = 30_000_000_000n;

/** Draws the incident as the contract has it. Pure. */
export function draw(growing: Growing, counts: { count: number; bytes: number; seen: number }, victims: readonly Victim[], now: Mono, iso: (t: Mono) => string, netnsName: string | undefined): Incident {
  const { verdict, signs } = growing;
  const { found, cause } = verdict;
  const first = signs.reduce((t, s) => (s.first < t ? s.first : t), signs[0]?.first ?? now);
  const last = signs.reduce((t, s) => (s.last > t ? s.last : t), first);
  const lead = (signs.find((s) => s.symptom.kind === 'drop') ?? signs[0])?.symptom;
  return {
    type: 'incident',
    id: growing.id,
    state: now - last > QUIET ? 'closed' : 'open',
    // its share of what was only counted is a guess: what is tried again and again is also seen so
    severity: found.few !== undefined && Math.min(counts.count, counts.seen) <= found.few ? 'info' : found.severity,
    first: iso(first),
    last: iso(last),
    count: counts.count,
    bytes: counts.bytes,
    cause: { id: cause.id, title: cause.title },
    confidence: Math.round(found.confidence * 100) / 100,
    explanation: found.explanation,
    where: {
      netns: netnsName === undefined ? { inode: growing.netns } : { inode: growing.netns, name: netnsName },
      ...(found.hook === undefined ? {} : { hook: found.hook }),
      ...whereOf(lead),
    },
    victims,
    culprit: growing.alike === undefined ? found.culprit : { ...found.culprit, conversations: growing.alike.size },
    evidence: found.evidence,
    ruledOut: verdict.ruledOut,
    cannotTell: verdict.cannotTell,
    remedies: found.remedies,
  };
}

function whereOf(symptom: Symptom | undefined): { interface?: string; reason?: string; symbol?: string; stack?: string[] } {
  if (symptom?.kind !== 'drop') return {};
  const { drop } = symptom;
  return {
    ...(drop.interface === undefined ? {} : { interface: drop.interface }),
    reason: drop.reason.name,
    symbol: placeText(drop.place),
    ...(drop.stack.length === 0 ? {} : { stack: drop.stack.map(placeText) }),
  };
}

/** Verdicts that do not say where the packet was lost: after those that do. */
const UNLOCATED: ReadonlySet<string> = new Set(['unknown', 'tcp.no-answer']);

const WEIGHT: Readonly<Record<Severity, number>> = { critical: 2, warning: 1, info: 0 };

/**
 * Most harm first: severity; then what is understood before what is not; then losses of whole conversations before
 * losses of messages about them (ICMP errors); then the number of packets, of an incident about many conversations
 * that of one of them.
 */
export function rank(incidents: readonly Incident[]): Incident[] {
  const about = (i: Incident): number => (i.victims.length > 0 && i.victims.every((v) => v.flow?.protocol.startsWith('icmp') === true) ? 0 : 1);
  const known = (i: Incident): number => (UNLOCATED.has(i.cause.id) ? 0 : 1);
  const each = (i: Incident): number => (typeof i.culprit['conversations'] === 'number' ? Math.round(i.count / i.culprit['conversations']) : i.count);
  return [...incidents].sort(
    (a, b) => WEIGHT[b.severity] - WEIGHT[a.severity] || known(b) - known(a) || about(b) - about(a) || each(b) - each(a) || b.count - a.count || (a.first < b.first ? -1 : a.first > b.first ? 1 : a.id < b.id ? -1 : 1),
  );
}
