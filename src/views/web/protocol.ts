import type { Knowledge } from '../../model/cause.ts';
import type { Incident } from '../../model/incident.ts';
import type { CostLine, CounterSeries, Diagram, LossLine, ProbeLine, ReportHost, StackCount, Timeline } from '../../report/index.ts';

/** What the page and the server say to each other; all of it JSON. */

/** One thing to look at: the live watch, or a recording that was given to the server. */
export interface SourceName {
  /** `live`, or `r1`, `r2`… */
  readonly id: string;
  readonly name: string;
}

/** Everything of a source that the overview needs. Sent whole, at most once a second. */
export interface SourceState extends SourceName {
  readonly host: ReportHost;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly netns: readonly { readonly inode: number; readonly name?: string }[];
  readonly probes: readonly ProbeLine[];
  readonly losses: readonly LossLine[];
  readonly cost?: CostLine;
  /** Ranked, most harm first. Of each only the worst victims; `flows` says how many there are. */
  readonly incidents: readonly ListedIncident[];
  /** Incidents beyond the limit, which are not listed. */
  readonly unlisted: number;
  /** Begins at `timelineFrom`. */
  readonly timelineFrom: number;
  readonly timeline?: Timeline;
  /** Points are ms since `timelineFrom`. */
  readonly counters: readonly CounterSeries[];
  /** What else can be looked at. */
  readonly sources: readonly SourceName[];
}

export interface ListedIncident extends Incident {
  readonly flows: number;
}

export interface IncidentDetail {
  readonly incident: Incident;
  readonly diagram?: Diagram;
  readonly stacks: readonly StackCount[];
}

export interface HostState {
  /** All that can be chosen; without a choice the first few are shown. */
  readonly namespaces: readonly { readonly inode: number; readonly name: string }[];
  readonly rules: readonly RuleRow[];
  /** Listings that could not be had, as text. */
  readonly missing: readonly string[];
  readonly conntrack: readonly { readonly netns: string; readonly used: number; readonly most: number }[];
}

export interface RuleRow {
  readonly netns: string;
  /** `ip filter INPUT`. */
  readonly chain: string;
  readonly position: number;
  readonly text: string;
  readonly packets?: number;
  readonly bytes?: number;
}

/** One cause as the explain page shows it. */
export interface CauseText extends Knowledge {
  readonly id: string;
  readonly title: string;
}

/** What is sent to the page: bounded, whatever the host does. */
export const LISTED_INCIDENTS = 200;
const LISTED_VICTIMS = 3;

/** An incident as the list needs it; the whole is asked for when it is opened. */
export function listed(incident: Incident): ListedIncident {
  const worst = incident.victims.length <= LISTED_VICTIMS ? incident.victims : incident.victims.toSorted((a, b) => b.count - a.count).slice(0, LISTED_VICTIMS);
  return { ...incident, victims: worst, flows: incident.victims.length, evidence: [], ruledOut: [], cannotTell: [], remedies: incident.remedies.slice(0, 1) };
}
