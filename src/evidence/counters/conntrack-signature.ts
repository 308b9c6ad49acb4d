import type { ConntrackSignature } from '../../model/conntrack.ts';
import { deltaText, movedBy, type Deltas } from './deltas.ts';

/** What conntrack's counters say of the packets that it dropped between two readings. */
export interface ConntrackLosses {
  readonly signature: ConntrackSignature;
  /** Packets lost in each way; one way does not hide another. */
  readonly clash: number;
  readonly dropOnly: number;
  readonly chainTooLong: number;
  readonly dying: number;
  readonly resolved: number;
  readonly earlyDrop: number;
  readonly text: string;
}

const COLUMNS = ['insert_failed', 'drop', 'early_drop', 'clash_resolve', 'chaintoolong'];

/**
 * `deltas` are of stat/nf_conntrack. Since 5.10 (bc92470413f3) each unresolved clash moves drop and insert_failed by
 * one, a full table drop alone, a too long chain insert_failed and chaintoolong, a dying entry insert_failed alone.
 */
export function conntrackLosses(deltas: Deltas, kernel: string): ConntrackLosses {
  const failed = Math.max(0, movedBy(deltas, 'insert_failed')), drop = Math.max(0, movedBy(deltas, 'drop'));
  const chain = Math.max(0, movedBy(deltas, 'chaintoolong')), resolved = Math.max(0, movedBy(deltas, 'clash_resolve'));
  const earlyDrop = Math.max(0, movedBy(deltas, 'early_drop'));
  const modern = !olderThan(kernel, 5, 10);
  const other = Math.max(0, failed - chain);
  const clash = Math.min(other, drop);
  const dropOnly = drop - clash;
  const dying = modern ? other - clash : 0;
  const signature: ConntrackSignature = clash > 0 ? 'clash-lost' : dropOnly > 0 ? 'drop-only' : chain > 0 ? 'chain-too-long' : dying > 0 ? 'dying' : resolved > 0 ? 'clash-resolved' : !modern && failed > 0 ? 'unclear' : 'none';
  const columns = COLUMNS.filter((name) => name === 'insert_failed' || name === 'drop' || movedBy(deltas, name) !== 0);
  return { signature, clash, dropOnly, chainTooLong: chain, dying, resolved, earlyDrop, text: deltaText(deltas, columns) };
}

/** From `uname -r`. Distributions carry patches back; where that matters the text says "usually". */
export function olderThan(kernel: string, major: number, minor: number): boolean {
  const m = /^([0-9]+)\.([0-9]+)/.exec(kernel);
  if (m === null) return false;
  const a = Number(m[1]), b = Number(m[2]);
  return a < major || (a === major && b < minor);
}
