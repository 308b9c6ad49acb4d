import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { HookName, Ruleset } from '../../model/ruleset.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { routeGet } from '../network/read.ts';
import { isLocalAddress } from '../network/routing.ts';
import type { HookPoint } from './hook.ts';
import { packetView, type PacketView } from './packet.ts';
import type { Trial } from './trial.ts';

/**
 * The packet at the hooks that it would have met behind the one where it died, in their order (net/ipv4/ip_input.c,
 * ip_forward.c, ip_output.c): what a remedy lets through here can be dropped there. Empty where that way is not known:
 * bridged frames, rules that rewrite addresses, a destination that no table tells of.
 */
export function laterViews(evidence: Evidence, drop: DropEvent, trial: Trial): readonly PacketView[] {
  const { hook, view, listing } = trial;
  const { ip } = drop.packet;
  if (ip === undefined || hook.bridged || (hook.family !== 'ip' && hook.family !== 'ip6') || rewrites(listing.ruleset)) return [];
  // nothing is asked for where no rule could have a say: a recording has the answers that were needed when it was made
  const behind = new Set<string>();
  for (const table of listing.ruleset.tables) for (const chain of table.chains.values()) if (chain.base !== undefined && (chain.rules.length > 0 || chain.base.policy === 'drop')) behind.add(chain.base.hook);
  if (!AFTER[hook.hook]?.some((name) => behind.has(name))) return [];
  const first = onward(evidence, drop, hook.hook)?.filter((name) => behind.has(name));
  if (first === undefined || first.length === 0) return [];
  const early = hook.hook === 'prerouting' || hook.hook === 'output';
  const out = first.includes('postrouting') ? wayOut(evidence, drop, hook.hook) : undefined;
  const came = drop.incoming ?? (hook.hook === 'prerouting' || hook.hook === 'forward' ? drop.ifindex : undefined);
  // dropped before tracking began: for later rules it is the first packet of its connection
  const begins = early && drop.conntrack === undefined && opens(drop) ? { conntrack: { info: 2 } as NonNullable<DropEvent['conntrack']> } : {};
  return first.map((name) => {
    const { interface: device, ...rest } = drop;
    const at: HookPoint = { family: hook.family, hook: name, by: 'unknown', bridged: false };
    const leaving = name === 'postrouting' ? { ...(out === undefined ? {} : { interface: out }), ...(came === undefined ? {} : { incoming: came }) } : device === undefined ? {} : { interface: device };
    return packetView({ ...rest, ...leaving, ...begins }, at, view.around);
  });
}

/** Hooks that a packet can still meet behind each. */
const AFTER: Readonly<Partial<Record<HookName, readonly HookName[]>>> = { prerouting: ['input', 'forward', 'postrouting'], forward: ['postrouting'], output: ['postrouting'] };

function onward(evidence: Evidence, drop: DropEvent, hook: HookName): readonly HookName[] | undefined {
  switch (hook) {
    case 'prerouting': {
      const to = drop.packet.ip?.destination;
      const local = to === undefined ? undefined : isLocalAddress(evidence, drop.netns, to);
      return local === undefined || isUnavailable(local) ? undefined : local.local ? ['input'] : ['forward', 'postrouting'];
    }
    case 'forward': case 'output': return ['postrouting'];
    default: return undefined;
  }
}

function wayOut(evidence: Evidence, drop: DropEvent, hook: HookName): string | undefined {
  const { ip } = drop.packet;
  if (ip === undefined) return undefined;
  const iif = hook !== 'output' && drop.interface !== undefined ? { from: ip.source, iif: drop.interface } : {};
  const answer = routeGet(evidence, drop.netns, { to: ip.destination, ...iif });
  return isUnavailable(answer) || answer.kind !== 'route' ? undefined : answer.device;
}

/** A packet that begins a connection for conntrack: a SYN alone, or anything of a protocol without handshake. */
const opens = (drop: DropEvent): boolean => {
  const { transport } = drop.packet;
  return transport?.kind === 'tcp' ? (transport.flags & 0x17) === 2 : transport?.kind === 'udp' || (transport?.kind === 'icmp' && transport.type === 8) || (transport?.kind === 'icmp6' && transport.type === 128);
};

/** Rules that change what later rules are asked about: addresses, ports, marks. */
const CHANGES: ReadonlySet<string> = new Set(['nat', 'payload', 'mark', 'notrack']);
const rewrites = (ruleset: Ruleset): boolean => ruleset.tables.some((t) => [...t.chains.values()].some((c) => c.rules.some((r) => r.effects.some((e) => CHANGES.has(e.kind)))));
