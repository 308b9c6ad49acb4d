import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Qdisc, TrafficClass } from '../../model/network.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { classes, qdiscs } from './read.ts';

/** The queue of a device that dropped, with how many since the loss began. */
export interface LosingQueue {
  readonly qdisc: Qdisc;
  /** Since before the symptom; the whole count where nobody had looked before. */
  readonly drops: number;
  readonly since: boolean;
  /** The class that the packets were in, where the qdisc has classes and one of them counts drops. */
  readonly class?: TrafficClass;
  readonly bytesBefore?: number;
}

const SILENT = new Set(['noqueue', 'ingress', 'clsact', 'mq']);

/**
 * Which queue of a device lost packets: the innermost one whose drop counter moved, for a classful qdisc counts what its
 * children drop as its own. Undefined: no queue there counts a drop.
 */
export function losingQueue(evidence: Evidence, netns: Netns, device: string): Maybe<LosingQueue> | undefined {
  const all = qdiscs(evidence, netns);
  const old = qdiscs(evidence, netns, 'before');
  const kinds = classes(evidence, netns);
  if (isUnavailable(all)) return all;
  const mine = all.filter((q) => q.device === device && !SILENT.has(q.kind));
  if (mine.some((q) => q.kind === 'htb' || q.kind === 'hfsc' || q.kind === 'drr' || q.kind === 'qfq' || q.kind === 'cbq') && isUnavailable(kinds) && kinds.unavailable === 'pending') return kinds;
  const before = (q: Qdisc): Qdisc | undefined => (isUnavailable(old) ? undefined : old.find((o) => o.device === q.device && o.handle === q.handle && o.kind === q.kind));
  const lost = mine.map((qdisc) => {
    const earlier = before(qdisc);
    return { qdisc, earlier, drops: qdisc.drops - (earlier?.drops ?? 0) };
  });
  const moved = lost.filter((l) => l.drops > 0);
  if (moved.length === 0) {
    // a parked child has handle 0 and may not be listed at all: the root is all there is
    return undefined;
  }
  const depth = (q: Qdisc): number => {
    let n = 0;
    for (let at: Qdisc | undefined = q; at !== undefined && !at.root && n < 8; n++) {
      const major: string | undefined = at.parent?.split(':')[0];
      at = mine.find((p) => p.handle.split(':')[0] === major);
    }
    return n;
  };
  const best = [...moved].sort((a, b) => depth(b.qdisc) - depth(a.qdisc) || b.drops - a.drops)[0]!;
  const parent = best.qdisc.parent;
  const list = isUnavailable(kinds) ? [] : kinds.filter((c) => c.device === device || c.device === '');
  const own = list.find((c) => c.id === parent) ?? [...list].filter((c) => c.id.split(':')[0] === best.qdisc.handle.split(':')[0] && c.drops > 0).sort((a, b) => b.drops - a.drops || (a.parent === undefined ? 1 : -1))[0];
  return { qdisc: best.qdisc, drops: best.drops, since: best.earlier !== undefined, ...(own === undefined ? {} : { class: own }), ...(best.earlier === undefined ? {} : { bytesBefore: best.earlier.bytes }) };
}

/** `1514b`, `10Kb/8`, `1Mb`: sizes as tc prints them, in bytes. */
export function tcSize(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const m = typeof value === 'string' ? /^([0-9.]+)(b|Kb|Mb|Gb|K|M|)?(?:\/\d+)?$/.exec(value) : null;
  if (m === null) return undefined;
  const unit: Readonly<Record<string, number>> = { '': 1, b: 1, Kb: 1024, K: 1024, Mb: 1048576, M: 1048576, Gb: 1073741824 };
  return Math.round(Number(m[1]) * (unit[m[2] ?? ''] ?? 1));
}

/** `64Kbit`, `10mbit`, `64000bit`: bits a second. */
export function tcRate(value: string | undefined): number | undefined {
  const m = value === undefined ? null : /^([0-9.]+)(k|m|g|t)?bit$/i.exec(value);
  if (m === null) return undefined;
  const unit: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
  return Number(m[1]) * (unit[(m[2] ?? '').toLowerCase()] ?? 1);
}

/** tbf's limit in bytes: tc prints it, or the latency (microseconds) that it makes at that rate beyond the burst. */
export function tbfLimit(q: Qdisc): number | undefined {
  const limit = tcSize(q.options['limit']);
  if (limit !== undefined) return limit;
  const rate = q.options['rate'], latency = q.options['lat'], burst = tcSize(q.options['burst']);
  if (typeof rate !== 'number' || typeof latency !== 'number' || burst === undefined) return undefined;
  return Math.round((rate * latency) / 1e6 + burst);
}

export function bitText(bits: number): string {
  return bits >= 1e6 && bits % 1e6 === 0 ? `${bits / 1e6}mbit` : bits >= 1e3 && bits % 1e3 === 0 ? `${bits / 1e3}kbit` : `${Math.round(bits)}bit`;
}
