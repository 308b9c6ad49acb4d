import type { Mono, Netns } from '../../base/brand.ts';
import { IPS } from '../../model/conntrack.ts';
import type { CallEvent, DropEvent, Tuple } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { EvidenceLine } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { conntrackLosses, type ConntrackLosses } from '../counters/conntrack-signature.ts';
import { counterDeltas } from '../counters/deltas.ts';
import { droppedByNetfilter, droppingRule, hookOf, rulesInnocent, type DroppingRule, type HookPoint } from '../rules/index.ts';
import { callLine, dropLine } from '../socket/lines.ts';
import { tupleOfDrop } from './tuple.ts';

/** A loss that connection tracking or translation may have made: what all causes of this area ask first. */
export interface Suspicion {
  readonly netns: Netns;
  readonly at: Mono;
  readonly drop?: DropEvent;
  readonly call?: CallEvent;
  readonly hook?: HookPoint;
  /**
   * `track`: PREROUTING or OUTPUT, where an entry is looked up or made. `confirm`: POSTROUTING or INPUT, where a new
   * entry is put into the table. `unknown`: no stack, or a failed call without a drop event.
   */
  readonly stage: 'track' | 'confirm' | 'unknown';
  readonly original?: Tuple;
  readonly reply?: Tuple;
  /** The packet's own entry was not in the table yet; undefined when the probe cannot see it. */
  readonly unconfirmed?: boolean;
  /** The packet carried no entry at all. */
  readonly untracked?: boolean;
  readonly dying: boolean;
  /** NAT had bound the connection, if only to what it was (a null binding). */
  readonly bound?: boolean;
  readonly losses: Maybe<ConntrackLosses>;
  readonly rule: Maybe<DroppingRule> | undefined;
  /** A sentence that no rule did it; or why that cannot be said. */
  readonly innocent: Maybe<string>;
  readonly lines: readonly EvidenceLine[];
}

/** Undefined: netfilter has nothing to do with it, or the packet was freed by an nf_tables rule. */
export function suspicionOf(symptom: Symptom, evidence: Evidence): Suspicion | undefined {
  if (symptom.kind === 'drop') return droppedByNetfilter(symptom) ? ofDrop(symptom.drop, symptom.call, symptom, evidence) : undefined;
  if (symptom.kind !== 'call' || symptom.call.errno !== 'EPERM' || !/^(send|write|connect)/.test(symptom.call.syscall)) return undefined;
  const losses = lossesOf(evidence, symptom.netns);
  const { call } = symptom;
  return {
    netns: symptom.netns, at: symptom.first, call, stage: 'unknown', dying: false, losses, rule: undefined,
    innocent: { unavailable: 'missing', what: 'matching the packet against the rules', why: 'the packet itself was not seen' },
    lines: [callLine(evidence, call), ...counterLine(evidence, losses)],
  };
}

function ofDrop(drop: DropEvent, call: CallEvent | undefined, symptom: Symptom, evidence: Evidence): Suspicion | undefined {
  const hook = hookOf(symptom);
  if (hook !== undefined && (hook.by === 'nft' || hook.by === 'queue' || hook.family === 'arp' || hook.family === 'netdev')) return undefined;
  if (hook?.hook === 'forward' || (hook?.family === 'bridge' && !hook.bridged)) return undefined; // nothing of conntrack sits there
  const stage = hook === undefined ? 'unknown' : hook.hook === 'prerouting' || hook.hook === 'output' ? 'track' : 'confirm';
  const ct = drop.conntrack;
  const original = tupleOfDrop(drop);
  const losses = lossesOf(evidence, drop.netns);
  return {
    netns: drop.netns, at: drop.time, drop, stage, losses,
    ...(call === undefined ? {} : { call }), ...(hook === undefined ? {} : { hook }),
    ...(original === undefined ? {} : { original }), ...(ct?.reply === undefined ? {} : { reply: ct.reply }),
    ...(ct === undefined ? (drop.probe === 'bpf' ? { untracked: true } : {}) : { unconfirmed: ct.info !== 7 && (ct.status & IPS.CONFIRMED) === 0, untracked: ct.info === 7, bound: (ct.status & (IPS.SRC_NAT_DONE | IPS.DST_NAT_DONE)) !== 0 }),
    dying: ct !== undefined && (ct.status & IPS.DYING) !== 0,
    rule: droppingRule(evidence, symptom),
    innocent: rulesInnocent(evidence, symptom),
    lines: [dropLine(evidence, drop), ...(call === undefined ? [] : [callLine(evidence, call)]), ...counterLine(evidence, losses)],
  };
}

function lossesOf(evidence: Evidence, netns: Netns): Maybe<ConntrackLosses> {
  const deltas = counterDeltas(evidence, netns, 'stat/nf_conntrack');
  return isUnavailable(deltas) ? deltas : conntrackLosses(deltas, evidence.host.kernel);
}

function counterLine(evidence: Evidence, losses: Maybe<ConntrackLosses>): EvidenceLine[] {
  if (isUnavailable(losses)) return [];
  return [{ source: '/proc/net/stat/nf_conntrack', time: evidence.iso(evidence.now), text: `since before the loss: ${losses.text}` }];
}

/** `POSTROUTING`, or nothing where the hook is not known. */
export const hookText = (s: Suspicion): string | undefined => s.hook?.hook.toUpperCase();

/** A rule is certain to have done it: then it was not conntrack. */
export function ruleDidIt(s: Suspicion): DroppingRule | undefined {
  if (s.rule === undefined || isUnavailable(s.rule)) return undefined;
  const moved = s.rule.moved ?? 0;
  return s.rule.certain && (moved > 0 || s.rule.counterAfter === undefined) ? s.rule : undefined;
}
