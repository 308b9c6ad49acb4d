import type { IncidentDetail, HostState, SourceName, SourceState } from '../views/web/index.ts';
import { LISTED_INCIDENTS, listed } from '../views/web/index.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { readRecording } from '../recording/file.ts';
import { judged } from './judged.ts';
import { reportInput } from './report.ts';
import { conntrackFill, rulesOf } from './serve-host.ts';

/** A source of the browser view: everything is asked for by the page, nothing is drawn here. */
export interface ServedSource extends SourceName {
  state(): Omit<SourceState, 'sources'>;
  incident(id: string): IncidentDetail | undefined;
  /** Of one namespace, or of the first few. */
  host(netns?: number): Promise<HostState>;
}

/** A recording as the page wants it: plain values, made in one thread and shown by another. */
export interface PageRecording {
  readonly name: string;
  readonly state: Omit<SourceState, 'sources' | 'id'>;
  readonly host: HostState;
  readonly details: ReadonlyMap<string, IncidentDetail>;
}

/** What the thread that judges says: how far it is, then the end. */
export type Judging = { readonly share: number } | { readonly done: PageRecording } | { readonly error: string };

const SHARE_STEP = 0.01;

/** Judges a recording that was given to the server. The words of an error are for the page. */
export function judgeForPage(name: string, bytes: Uint8Array, progress: (share: number) => void = () => undefined): PageRecording | { readonly error: string } {
  const { records, status, version } = readRecording(bytes);
  if (status === 'not-a-recording') return { error: `${name} is not a recording of whydrop (whydrop record makes one)` };
  if (status === 'newer-version') return { error: `${name} is of format ${version}, newer than this whydrop knows` };
  if (!records.some((r) => r.record === 'host')) return { error: `${name} holds no records` };
  let told = 0;
  const result = judged(records, { pid: [], protocol: [], port: [], address: [], cause: [] }, false, (done) => {
    const share = done / records.length;
    if (share - told >= SHARE_STEP) progress((told = share));
  });
  const input = reportInput(result);
  const from = Date.parse(input.from);
  const state: PageRecording['state'] = {
    name, host: input.host, from, to: Date.parse(input.to), netns: input.netns, probes: input.probes,
    losses: status === 'complete' ? input.losses : [...input.losses, { source: 'recording', count: 1, text: `${name} is ${status === 'cut' ? 'cut off' : 'damaged'}: what is whole was used` }],
    incidents: input.incidents.slice(0, LISTED_INCIDENTS).map(listed), unlisted: Math.max(0, input.incidents.length - LISTED_INCIDENTS),
    timelineFrom: from, ...(input.timeline === undefined ? {} : { timeline: input.timeline }), counters: input.counters ?? [],
  };
  const names = new Map(input.netns.map((n) => [n.inode, n.name ?? `net:[${n.inode}]`]));
  const texts = new Map<number, Map<string, string>>();
  const missing: string[] = [];
  for (const event of result.all) {
    if (event.kind !== 'answer' || event.question.netns === undefined) continue;
    const { netns, topic, argument } = event.question;
    if (isUnavailable(event.body)) continue;
    const own = texts.get(netns) ?? new Map<string, string>();
    texts.set(netns, own);
    own.set(argument === undefined ? topic : `${topic} ${argument}`, typeof event.body === 'string' ? event.body : new TextDecoder().decode(event.body));
  }
  const host: HostState = {
    rules: [...texts].flatMap(([netns, own]) => rulesOf(names.get(netns) ?? `net:[${netns}]`, own)),
    missing, namespaces: [...texts.keys()].map((inode) => ({ inode, name: names.get(inode) ?? `net:[${inode}]` })),
    conntrack: [...texts].flatMap(([netns, own]) => conntrackFill(names.get(netns) ?? `net:[${netns}]`, own)),
  };
  const details = new Map(input.incidents.map((incident): [string, IncidentDetail] => {
    const diagram = input.diagrams?.get(incident.id);
    return [incident.id, { incident, ...(diagram === undefined ? {} : { diagram }), stacks: (input.stacks ?? []).filter((s) => s.cause === incident.cause.id) }];
  }));
  return { name, state, host, details };
}

export function servedRecording(id: string, { name, state, host, details }: PageRecording): ServedSource {
  return { id, name, state: () => ({ id, ...state }), incident: (key) => details.get(key), host: async (netns) => hostOf(host, netns) };
}

function hostOf(host: HostState, netns: number | undefined): HostState {
  const name = host.namespaces.find((n) => n.inode === netns)?.name;
  return name === undefined ? host : { ...host, rules: host.rules.filter((r) => r.netns === name), conntrack: host.conntrack.filter((c) => c.netns === name) };
}
