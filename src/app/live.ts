import type { Netns } from '../base/brand.ts';
import type { Event } from '../model/event.ts';
import type { HostFacts } from '../model/evidence.ts';
import type { HostRecord } from '../model/record.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { readHost } from '../sources/host.ts';
import { openNetnsRegistry, type NetnsRef, type NetnsRegistry } from '../sources/netns.ts';
import { UsageError } from './exit.ts';
import { checkedFilter, type FilterOptions } from './flow-filter.ts';
import { beFrugal } from './frugal.ts';
import { armProbes, type Probes, type Tier } from './probes.ts';
import { hostFacts } from './verdicts.ts';
import { createSession, type Listener, type ProbeState, type Session } from './session.ts';

/** Options of every command that watches, as the command line gives them. */
export interface LiveOptions extends FilterOptions {
  readonly netns: readonly string[];
  readonly allNetns?: boolean;
  readonly probe: Tier;
}

export interface Live {
  readonly session: Session;
  readonly probes: Probes;
  readonly states: readonly ProbeState[];
  readonly host: HostRecord;
  readonly facts: HostFacts;
  readonly watched: readonly { readonly inode: number; readonly name?: string }[];
  close(): void;
}

/**
 * Resolves what is to be watched, arms the probes and gives a session that is ready to run. `keep` drops events that
 * the caller is not interested in, before they are judged.
 */
export async function openLive(options: LiveOptions, listener: Listener, keep: (event: Event) => boolean = () => true): Promise<Live | Unavailable> {
  beFrugal();
  const registry = openNetnsRegistry();
  const filter = checkedFilter(options);
  const entries = registry.list();
  const targets = options.allNetns === true ? [] : targetsOf(options.netns, registry);
  const scope = { netns: targets.map((t) => t.inode), self: process.pid };
  const probes = armProbes(scope, options.probe, (inode) => registry.path(inode));
  const nothing = probes.armed.length === 0 && probes.states.every((s) => s.state === 'unavailable');
  if (nothing) {
    probes.close();
    registry.close();
    const [first] = probes.states;
    return { unavailable: 'permission', what: 'arming probes', why: `none could be armed (${probes.states.map((s) => `${s.id}: ${s.why}`).join('; ')})`, fix: first?.fix ?? 'run as root; whydrop doctor says more' };
  }
  const watched: { inode: Netns; name?: string }[] = targets.length > 0 ? targets.map(named) : entries.map((e) => ({ inode: e.inode as Netns, ...(e.name === undefined ? {} : { name: e.name }) }));
  const host = readHost({ ...probes.knowledge, netns: targets.map(named), namespaces: entries.length, home: registry.own.inode, netnsNames: [...registry.names()] });
  const facts = hostFacts(host);
  listener.record?.(host);
  for (const { id, state, why } of probes.states) listener.record?.({ record: 'probe', time: host.time, id, ...(state === 'armed' ? {} : { unavailable: { unavailable: 'failed', what: `arming ${id}`, why: why ?? '' } }) });
  const session = createSession({ host, probes, netns: targets.map((t) => t.inode), filter, onlyCauses: options.cause, listener, keep });
  return {
    session,
    probes,
    states: probes.states,
    host,
    facts,
    watched,
    close: () => {
      probes.close();
      registry.close();
    },
  };
}

function targetsOf(names: readonly string[], registry: NetnsRegistry): readonly NetnsRef[] {
  if (names.length === 0) return [registry.own];
  return names.map((name) => {
    const ref = registry.resolve(name);
    if (isUnavailable(ref)) throw new UsageError(`${ref.what}: ${ref.why}`);
    const held = registry.hold(ref);
    if (isUnavailable(held)) throw new UsageError(`${held.what}: ${held.why}`);
    return held;
  });
}

const named = (ref: NetnsRef): { inode: Netns; name?: string } => ({ inode: ref.inode, ...(ref.name === undefined ? {} : { name: ref.name }) });
