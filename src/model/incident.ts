import type { Flow } from './packet.ts';

/** The verdict, as the JSON contract has it (docs/json-schema/). Plain data: what is printed is this. */
export interface Incident {
  readonly type: 'incident';
  readonly id: string;
  readonly state: 'open' | 'closed';
  readonly severity: Severity;
  readonly first: string; //   ISO 8601, UTC
  readonly last: string;
  readonly count: number;
  readonly bytes: number;
  readonly cause: { readonly id: string; readonly title: string };
  readonly confidence: number;
  readonly explanation: string;
  readonly where: Where;
  readonly victims: readonly Victim[];
  readonly culprit: Culprit;
  readonly evidence: readonly EvidenceLine[];
  readonly ruledOut: readonly { readonly cause: string; readonly because: string }[];
  readonly cannotTell: readonly { readonly cause: string; readonly because: string; readonly wouldTell: string }[];
  readonly remedies: readonly Remedy[];
}

/** `info` is for what is normal: a closed socket, a reset, chatter nobody listens for. */
export type Severity = 'critical' | 'warning' | 'info';

export interface Where {
  readonly netns: { readonly inode: number; readonly name?: string };
  readonly interface?: string;
  readonly hook?: string;
  readonly reason?: string;
  readonly symbol?: string;
  readonly stack?: readonly string[];
}

export interface Victim {
  readonly process?: ProcessIdentity;
  readonly flow?: Flow;
  readonly syscall?: string;
  readonly errno?: string;
  readonly count: number;
}

export interface ProcessIdentity {
  readonly pid: number;
  readonly comm: string;
  readonly cmdline?: string;
  readonly unit?: string;
  readonly container?: string;
}

export type CulpritKind =
  | 'process' | 'rule' | 'policy' | 'sysctl' | 'route' | 'neighbour' | 'qdisc' | 'filter' | 'interface' | 'socket'
  | 'bpf-program' | 'peer' | 'capability' | 'bridge-port' | 'xfrm-policy' | 'tunnel' | 'cpu' | 'unknown';

/** The one object to change. `text` says it whole; the other fields are those of its kind. */
export interface Culprit {
  readonly kind: CulpritKind;
  readonly text: string;
  readonly [field: string]: unknown;
}

export interface EvidenceLine {
  /** Which source said it: `drop probe`, `nft -j list ruleset`, `/proc/net/snmp`. */
  readonly source: string;
  readonly time?: string;
  readonly text: string;
}

export interface Remedy {
  readonly text: string;
  /** One shell line that works as it is from the root namespace. */
  readonly command?: string;
  readonly undo?: string;
  readonly risk: 'low' | 'medium' | 'high';
}
