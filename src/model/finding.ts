import type { Culprit, EvidenceLine, Remedy, Severity, Victim } from './incident.ts';

/** What a cause says of a symptom. */
export type Finding = Found | RuledOut | NotApplicable | CannotTell;

export interface Found {
  readonly outcome: 'found';
  /** 0 to 1. 0.95 and above: every link of the chain was seen. */
  readonly confidence: number;
  readonly severity: Severity;
  /** As long as no more than this many were lost it is everyday business, and `info`: a port that is tried, a path whose MTU is found out. */
  readonly few?: number;
  /** Symptoms of one cause with one identity in one namespace are one incident: the rule's handle, the sysctl, the address and port. */
  readonly identity: string;
  /**
   * What to say when many findings differ in their identity only by the conversation (a port scan against a policy): beyond
   * a few, the engine makes one incident of the others.
   */
  readonly wider?: { readonly identity: string; readonly explanation: string; readonly remedies: readonly Remedy[] };
  /** Plain words, three sentences: what happened, where, why; this host's names and numbers. */
  readonly explanation: string;
  readonly culprit: Culprit;
  /** Netfilter hook, where there is one: OUTPUT, POSTROUTING… */
  readonly hook?: string;
  readonly evidence: readonly EvidenceLine[];
  /** Narrowest first. */
  readonly remedies: readonly Remedy[];
  /** Victims that the cause knows better than the symptom does. */
  readonly victims?: readonly Victim[];
}

/** It could have been this, and a fact says that it was not. */
export interface RuledOut {
  readonly outcome: 'ruled-out';
  readonly because: string;
}

/** It has nothing to do with a symptom of this kind. Not shown. */
export interface NotApplicable {
  readonly outcome: 'not-applicable';
}

/** A source that it needs is missing. */
export interface CannotTell {
  readonly outcome: 'cannot-tell';
  readonly because: string;
  readonly wouldTell: string;
}

export const NOT_APPLICABLE: NotApplicable = { outcome: 'not-applicable' };
export const ruledOut = (because: string): RuledOut => ({ outcome: 'ruled-out', because });
export const cannotTell = (because: string, wouldTell: string): CannotTell => ({ outcome: 'cannot-tell', because, wouldTell });
