/**
 * A small explicit-state model of a conntrack insert race: lookup, NAT binding, confirm, flush and clash resolution as
 * atomic steps of each CPU, every interleaving enumerated. It answers which kernels lose a packet, and shows how.
 *
 * After net/netfilter/nf_conntrack_core.c (nf_conntrack_in, __nf_conntrack_confirm, nf_ct_resolve_clash) and
 * nf_nat_core.c (nf_nat_alloc_null_binding, nf_nat_used_tuple). One flow between A and B; a tuple is named by its
 * direction: `out` is A→B, `in` is B→A.
 */

/** What a kernel does about clashes. Features, not versions: `KERNELS` names the versions that have them. */
export interface KernelRules {
  readonly name: string;
  /** nf_ct_resolve_clash exists (71d8c47fc653, 4.7). */
  readonly resolves: boolean;
  /** A NATed loser is merged when both tuples equal the winner's (ed07d9a021df, 4.19). */
  readonly natMatch: boolean;
  /** A loser whose reply nobody else expects is inserted for that direction alone (6a757c07e51f, 5.6). */
  readonly harder: boolean;
  /** A winner with the reversed tuples is accepted (a4e6a1031e77, 6.12). */
  readonly reverse: boolean;
  /** The null binding leaves the port alone when only a reversed entry has it (d8f84a9bc7c4, 6.12). */
  readonly keepsPort: boolean;
}

export const KERNELS = {
  before47: { name: 'before 4.7', resolves: false, natMatch: false, harder: false, reverse: false, keepsPort: false },
  from47: { name: '4.7 to 4.18', resolves: true, natMatch: false, harder: false, reverse: false, keepsPort: false },
  from419: { name: '4.19 to 5.5', resolves: true, natMatch: true, harder: false, reverse: false, keepsPort: false },
  from56: { name: '5.6 to 6.11', resolves: true, natMatch: true, harder: true, reverse: false, keepsPort: false },
  from612: { name: '6.12 and later', resolves: true, natMatch: true, harder: true, reverse: true, keepsPort: true },
} as const satisfies Readonly<Record<string, KernelRules>>;

export type Protocol = 'udp' | 'tcp' | 'icmp';
/** l4proto->allow_clash: UDP and a few others; ICMP only since the kernels of 2026 (f7becf0dad8f), TCP never. */
const ALLOW_CLASH: Readonly<Record<Protocol, boolean>> = { udp: true, tcp: false, icmp: false };

/** Who races: a packet sent and one received (after a flush), or two sent at once on two CPUs. */
export type Racers = 'send-and-receive' | 'two-sends';

export interface Setting {
  readonly kernel: KernelRules;
  readonly protocol: Protocol;
  /** A nat table is hooked, so every connection gets a (null) binding. */
  readonly nat: boolean;
  readonly racers: Racers;
}

type Direction = 'out' | 'in';
/** An entry: its original direction, and the port that its reply expects (1: as sent, 2: rewritten by NAT). */
interface Entry {
  readonly original: Direction;
  readonly port: 1 | 2;
}
type Outcome = 'delivered' | 'lost' | 'rewritten';

interface Packet {
  readonly name: 'sender' | 'receiver' | 'other sender';
  readonly direction: Direction;
  /** Steps: 0 lookup, 1 NAT binding, 2 confirm, 3 over. */
  readonly step: 0 | 1 | 2 | 3;
  /** Its own unconfirmed entry, when the lookup found none. */
  readonly own?: Entry;
  readonly outcome?: Outcome;
}

interface State {
  readonly table: readonly Entry[];
  readonly packets: readonly Packet[];
  /** Flushes still to come (a `conntrack -F` walks the table in steps and may pass the flow twice). */
  readonly flushes: number;
}

/** One atomic step that was taken, in words. */
export interface Step {
  readonly actor: Packet['name'] | 'flusher';
  readonly text: string;
  readonly kind: 'normal' | 'lost' | 'cause';
}

export interface Exploration {
  readonly setting: Setting;
  readonly interleavings: number;
  /** Interleavings in which at least one packet ended so. */
  readonly lost: number;
  readonly rewritten: number;
  /** The shortest one that loses a packet. */
  readonly loses?: readonly Step[];
  /** The shortest one that loses none, but lets one leave with another source port. */
  readonly rewrites?: readonly Step[];
}

/** Enumerates every interleaving. */
export function explore(setting: Setting): Exploration {
  let interleavings = 0;
  let lost = 0;
  let rewritten = 0;
  let loses: readonly Step[] | undefined;
  let rewrites: readonly Step[] | undefined;
  const visit = (state: State, trace: readonly Step[]): void => {
    if (state.packets.some((p) => p.step !== 3)) {
      for (const [next, step] of successors(state, setting)) visit(next, [...trace, step]);
      return;
    }
    interleavings += 1;
    const outcomes = state.packets.map((p) => p.outcome);
    if (outcomes.includes('lost')) lost += 1;
    if (outcomes.includes('rewritten')) rewritten += 1;
    if (outcomes.includes('lost')) loses = shorter(loses, trace);
    else if (outcomes.includes('rewritten')) rewrites = shorter(rewrites, trace);
  };
  visit(start(setting), []);
  return { setting, interleavings, lost, rewritten, ...(loses === undefined ? {} : { loses }), ...(rewrites === undefined ? {} : { rewrites }) };
}

const shorter = (known: readonly Step[] | undefined, trace: readonly Step[]): readonly Step[] => (known === undefined || trace.length < known.length ? trace : known);

/** What another kernel makes of the very same order of steps; undefined where it has not that many steps. */
export function retold(steps: readonly Step[], setting: Setting): readonly Step[] | undefined {
  let state = start(setting);
  const told: Step[] = [];
  for (const { actor } of steps) {
    const next = [...successors(state, setting)].find(([, step]) => step.actor === actor);
    if (next === undefined) return undefined;
    state = next[0];
    told.push(next[1]);
  }
  return told;
}

function start(setting: Setting): State {
  const packet = (name: Packet['name'], direction: Direction): Packet => ({ name, direction, step: 0 });
  return setting.racers === 'send-and-receive'
    ? { table: [{ original: 'out', port: 1 }], packets: [packet('sender', 'out'), packet('receiver', 'in')], flushes: 2 }
    : { table: [], packets: [packet('sender', 'out'), packet('other sender', 'out')], flushes: 0 };
}

function* successors(state: State, setting: Setting): Generator<readonly [State, Step]> {
  if (state.flushes > 0 && state.table.length > 0) {
    yield [{ ...state, table: [], flushes: state.flushes - 1 }, { actor: 'flusher', text: 'deletes the entry', kind: 'cause' }];
  }
  for (const [i, packet] of state.packets.entries()) {
    if (packet.step === 3) continue;
    const [next, table, step] = advance(packet, state.table, setting);
    yield [{ ...state, table, packets: state.packets.with(i, next) }, step];
  }
}

/** A tuple: direction and, for the reply half of a rewritten connection, the other port. */
const tuples = (e: Entry): readonly [original: string, reply: string] => [`${e.original}1`, `${e.original === 'out' ? 'in' : 'out'}${e.port}`];

function advance(packet: Packet, table: readonly Entry[], setting: Setting): readonly [Packet, readonly Entry[], Step] {
  const say = (text: string, kind: Step['kind'] = 'normal'): Step => ({ actor: packet.name, text, kind });
  switch (packet.step) {
    case 0: {
      const found = table.some((e) => tuples(e).includes(`${packet.direction}1`));
      if (found) return [{ ...packet, step: 3, outcome: 'delivered' }, table, say('lookup: entry found, passes')];
      // an echo reply without an entry makes none (icmp_pkt_to_tuple, invalid): it passes untracked
      if (setting.protocol === 'icmp' && packet.direction === 'in') return [{ ...packet, step: 3, outcome: 'delivered' }, table, say('lookup: a reply, not tracked, passes')];
      return [{ ...packet, step: setting.nat ? 1 : 2, own: { original: packet.direction, port: 1 } }, table, say('lookup: none, makes an entry')];
    }
    case 1: {
      const own: Entry = packet.own ?? { original: packet.direction, port: 1 };
      const [, reply] = tuples(own);
      const holders = table.filter((e) => tuples(e).includes(reply));
      // nf_nat_used_tuple: the reply it expects is taken, so another port is chosen
      const onlyReversed = holders.every((e) => e.original !== own.original);
      const taken = holders.length > 0 && setting.protocol !== 'icmp' && !(setting.kernel.keepsPort && onlyReversed) && onlyReversed;
      if (taken) return [{ ...packet, step: 2, own: { ...own, port: 2 } }, table, say('NAT: port taken, gets another', 'cause')];
      return [{ ...packet, step: 2, own }, table, say('NAT: null binding')];
    }
    case 2: {
      const own: Entry = packet.own ?? { original: packet.direction, port: 1 };
      const passes: Outcome = own.port === 2 ? 'rewritten' : 'delivered';
      const [original, reply] = tuples(own);
      const winner = table.find((e) => tuples(e).includes(original) || tuples(e).includes(reply));
      if (winner === undefined) return [{ ...packet, step: 3, outcome: passes }, [...table, own], say(passes === 'rewritten' ? 'confirm: inserted, wrong port' : 'confirm: inserted')];
      if (resolves(own, winner, table, setting)) return [{ ...packet, step: 3, outcome: passes }, table, say(`confirm: clash, merged${passes === 'rewritten' ? ', wrong port' : ', passes'}`, passes === 'rewritten' ? 'lost' : 'normal')];
      return [{ ...packet, step: 3, outcome: 'lost' }, table, say('confirm: tuple taken, dropped', 'lost')];
    }
    case 3:
      return [packet, table, say('over')];
  }
}

/** nf_ct_resolve_clash: whether the loser may pass. */
function resolves(own: Entry, winner: Entry, table: readonly Entry[], { kernel, protocol, nat }: Setting): boolean {
  if (!kernel.resolves || !ALLOW_CLASH[protocol]) return false;
  if (!nat) return true; // __nf_ct_resolve_clash: no NAT was done, the winner's entry will do
  if (kernel.natMatch && winner.original === own.original && winner.port === own.port) return true; // nf_ct_match
  if (kernel.reverse && winner.original !== own.original && winner.port === own.port) return true; // nf_ct_match_reverse
  // nf_ct_resolve_clash_harder: insert in reply direction only, when nobody expects that reply
  const [, reply] = tuples(own);
  return kernel.harder && !table.some((e) => tuples(e).includes(reply));
}
