import type { Netns } from '../base/brand.ts';
import { nearest } from '../base/nearest.ts';
import { causes } from '../causes/index.ts';
import type { Event } from '../model/event.ts';
import type { HostFacts } from '../model/evidence.ts';
import type { HostRecord } from '../model/record.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { readHost } from '../sources/host.ts';
import { openNetnsRegistry, type NetnsRef, type NetnsRegistry } from '../sources/netns.ts';
import { UsageError } from './exit.ts';
import { PROTOCOLS, type FlowFilter } from './flow-filter.ts';
import { armProbes, type Tier } from './probes.ts';
import { createSession, type Listener, type ProbeState, type Session } from './session.ts';

/** Options of every command that watches, as the command line gives them. */
export interface LiveOptions {
  readonly netns: readonly string[];
  readonly allNetns?: boolean;
  readonly pid: readonly number[];
  readonly protocol: readonly string[];
  readonly port: readonly number[];
  readonly address: readonly string[];
  readonly cause: readonly string[];
  readonly probe: Tier;
}

export interface Live {
  readonly session: Session;
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
  const registry = openNetnsRegistry();
  const filter = checked(options);
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
  const host = readHost({ ...probes.knowledge, netns: watched });
  const facts: HostFacts = { kernel: host.kernel, hostname: host.hostname, cpus: host.cpus, home: registry.own.inode, netnsNames: registry.names() };
  const session = createSession({ host, facts, probes, netns: targets.map((t) => t.inode), filter, onlyCauses: options.cause, listener, keep });
  return {
    session,
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

/** The filter options, or one line that says which is wrong. */
function checked(options: LiveOptions): FlowFilter {
  for (const protocol of options.protocol) {
    if (protocol === 'arp' || PROTOCOLS[protocol] !== undefined || /^\d{1,3}$/.test(protocol)) continue;
    const near = nearest(protocol, ['arp', ...Object.keys(PROTOCOLS)]);
    throw new UsageError(`no protocol ${protocol}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  for (const cause of options.cause) {
    if (causes.some((c) => c.id === cause || c.id.startsWith(`${cause}.`))) continue;
    const near = nearest(cause, causes.map((c) => c.id));
    throw new UsageError(`no cause ${cause}${near === undefined ? '' : `; did you mean ${near}?`} (whydrop explain lists them)`);
  }
  for (const port of options.port) if (port < 1 || port > 65535) throw new UsageError(`no port ${port}: ports are 1 to 65535`);
  return { pids: options.pid, protocols: options.protocol, ports: options.port, addresses: options.address };
}
