import { statSync } from 'node:fs';
import { release } from 'node:os';
import { netnsInode, type Netns } from '../base/brand.ts';
import type { Topic } from '../model/question.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { armCalls, armConnects, armDrops, armExecs, reasonsOfKernel, watchedSyscalls, type DropProbe } from '../sources/bpf/index.ts';
import { armConntrack } from '../sources/conntrack/index.ts';
import { createSnapshots, type Snapshots } from '../sources/snapshot/index.ts';
import type { ArmedProbe, Scope } from '../sources/source.ts';
import { symbolsOnce } from './symbols.ts';
import type { ProbeKnowledge } from '../sources/host.ts';
import { armTracefs, armTracefsCalls, tracefsFormats, type TracefsProbe } from '../sources/tracefs/index.ts';
import type { ProbeState } from './session.ts';

export type Tier = 'auto' | 'bpf' | 'tracefs' | 'counters';

/** All probes of a run. Closed as one. */
export interface Probes {
  readonly armed: readonly ArmedProbe[];
  /** The probe that keeps exact counts, where it could be armed. */
  readonly drops: DropProbe | undefined;
  /** The tracefs drop probe, where it took the place of the BPF one. */
  readonly dropsByTracefs: TracefsProbe | undefined;
  /** What the probes know of the host, for the first record of a capture. */
  readonly knowledge: Pick<ProbeKnowledge, 'dropReasons' | 'syscalls' | 'formats'>;
  readonly snapshots: Snapshots;
  readonly states: readonly ProbeState[];
  close(): void;
}

/** What is lost without a probe: for doctor, and for whoever reads the summary. */
export const WITHOUT: Readonly<Record<string, string>> = {
  'drop-bpf': 'no exact counts under flood, no flow, owner or namespace of a dropped packet; the tracefs tier takes its place with places, reasons and stacks',
  'drop-tracefs': 'no dropped packet is seen; only counters tell that something was lost',
  'calls-bpf': 'failed sends are not seen, so a refusal before any packet was made (seccomp, capabilities, routes) is missed',
  'calls-tracefs': 'failed sends are not seen, so a refusal before any packet was made (seccomp, capabilities, routes) is missed',
  'connects-bpf': 'a non-blocking connect() that is refused or never answered is not seen: its error comes after the call',
  'exec-bpf': 'programs that end within milliseconds keep only their pid: a flush of conntrack has an author without a name',
  'conntrack-events': 'who deleted a conntrack entry is not seen: an insert race is told from counters alone',
};

/** Arms the best tier that this host allows. Never throws: what cannot be armed is a state with why and fix. */
export function armProbes(scope: Scope, tier: Tier, netnsPath: Parameters<typeof createSnapshots>[0]['netnsPath']): Probes {
  const armed: ArmedProbe[] = [];
  const states: ProbeState[] = [];
  const arm = <P extends ArmedProbe>(id: string, how: (scope: Scope) => P | Unavailable): P | undefined => {
    const probe = how(scope);
    states.push(stateOf(id, probe));
    if (isUnavailable(probe)) return undefined;
    armed.push(probe);
    return probe;
  };
  const bpf = tier === 'auto' || tier === 'bpf';
  const tracefs = tier === 'auto' || tier === 'tracefs';
  const drops = bpf ? arm('drop-bpf', armDrops) : undefined;
  const dropsByTracefs = drops === undefined && tracefs ? arm('drop-tracefs', (s) => armTracefs(s) as TracefsProbe | Unavailable) : undefined;
  const calls = bpf ? arm('calls-bpf', armCalls) : undefined;
  const callsByTracefs = calls === undefined && tracefs ? arm('calls-tracefs', armTracefsCalls) : undefined;
  if (bpf) arm('connects-bpf', armConnects);
  if (bpf) arm('exec-bpf', armExecs);
  arm('conntrack-events', armConntrack);
  const formats = dropsByTracefs === undefined && callsByTracefs === undefined ? {} : tracefsFormats();
  const snapshots = createSnapshots({ netnsPath });
  return {
    armed,
    drops,
    dropsByTracefs,
    snapshots,
    states,
    knowledge: { dropReasons: reasonsOfKernel(), syscalls: watchedSyscalls(), formats: isUnavailable(formats) ? {} : formats },
    close: () => {
      for (const probe of armed.toReversed()) probe.close();
      snapshots.close();
    },
  };
}

/** Arms each probe on its own for a moment, the fallbacks too: for doctor. */
export async function probeEverything(): Promise<{ kernel: string; states: readonly ProbeState[] }> {
  const scope: Scope = { netns: [netnsInode(statSync('/proc/self/ns/net').ino)], self: process.pid };
  const states: ProbeState[] = [];
  const probes: readonly (readonly [string, (scope: Scope) => ArmedProbe | Unavailable])[] = [
    ['drop-bpf', armDrops], ['drop-tracefs', armTracefs], ['calls-bpf', armCalls], ['calls-tracefs', armTracefsCalls], ['connects-bpf', armConnects], ['exec-bpf', armExecs], ['conntrack-events', armConntrack],
  ];
  for (const [id, how] of probes) {
    const probe = how(scope);
    states.push(stateOf(id, probe));
    if (!isUnavailable(probe)) probe.close();
  }
  const snapshots = createSnapshots({ netnsPath: () => '/proc/self/ns/net' });
  const listings: readonly Topic[] = ['nft', 'iptables', 'link', 'route', 'neighbour', 'qdisc', 'bpf-programs', 'kernel-log', 'sockets'];
  for (const topic of listings) {
    const { body } = await snapshots.ask({ topic, netns: scope.netns[0] as Netns, ...(topic === 'sockets' ? { argument: 'udp' } : {}) });
    states.push(stateOf(`read-${topic}`, isUnavailable(body) ? body : {}));
  }
  const symbols = symbolsOnce();
  states.push(symbols.status === 'ok' ? { id: 'symbols', state: 'armed' } : { id: 'symbols', state: 'unavailable', why: `/proc/kallsyms is ${symbols.status}`, fix: 'run as root or with CAP_SYSLOG, or sysctl kernel.kptr_restrict=0' });
  snapshots.close();
  return { kernel: release(), states };
}

function stateOf(id: string, result: object | Unavailable): ProbeState {
  return isUnavailable(result) ? { id, state: 'unavailable', why: `${result.what}: ${result.why}`, ...(result.fix === undefined ? {} : { fix: result.fix }) } : { id, state: 'armed' };
}
