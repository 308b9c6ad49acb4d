import { endpoint } from '../../base/inet.ts';
import { conntrackTable, portChoice, snatRules, takenPorts, translationOf, type SnatRule, type Suspicion } from '../../evidence/conntrack/index.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';

/** How much choice of ports source translation had for a packet that was lost at confirm. */
export interface NatChoice {
  readonly rule: SnatRule;
  readonly low: number;
  readonly high: number;
  /** Ports of that range that are taken at this address for this peer. */
  readonly taken: number;
  readonly exhausted: boolean;
  readonly address: string;
  readonly peer: string;
  /** The table was read in part: `taken` is at least so many. */
  readonly partial: boolean;
}

/** Undefined: the flow was not translated, or no rule for that is there. */
export function natChoice(s: Suspicion, evidence: Evidence): Maybe<NatChoice> | undefined {
  const { original, reply, drop } = s;
  if (s.stage !== 'confirm' || s.hook?.hook !== 'postrouting' || drop === undefined) return undefined;
  const translation = original !== undefined && reply !== undefined ? translationOf({ original, reply }) : undefined;
  if (reply !== undefined && translation?.source === undefined) return undefined;
  const protocol = original?.protocol ?? drop.packet.ip?.protocol;
  if (protocol === undefined) return undefined;
  const translated = reply?.destination ?? drop.packet.ip?.source;
  const rules = snatRules(evidence, s.netns, { protocol, ...(translated === undefined ? {} : { translated }), ...(drop.interface === undefined ? {} : { outgoing: drop.interface }) });
  if (isUnavailable(rules)) return rules;
  const rule = rules[0];
  if (rule === undefined) return undefined;
  const table = conntrackTable(evidence, s.netns);
  if (isUnavailable(table)) return table;
  const address = translated ?? rule.addresses?.first;
  if (address === undefined) return undefined;
  const peerAddress = reply?.source ?? drop.packet.ip?.destination;
  const peerPort = reply?.sourcePort ?? (drop.packet.transport !== undefined && 'destinationPort' in drop.packet.transport ? drop.packet.transport.destinationPort : undefined);
  const ports = takenPorts(table.entries, protocol, address, peerAddress === undefined ? undefined : { address: peerAddress, ...(peerPort === undefined ? {} : { port: peerPort }) });
  const { low, high } = portChoice(rule, original?.sourcePort);
  let taken = 0;
  for (const port of ports) if (port >= low && port <= high) taken += 1;
  const size = high - low + 1;
  // beyond 128 ports not every one is tried (nf_nat_l4proto_unique_tuple)
  const exhausted = taken >= size || (size > 128 && taken >= size * 0.97);
  return { rule, low, high, taken, exhausted, address, peer: peerAddress === undefined ? 'its peer' : endpoint(peerAddress, peerPort), partial: table.status === 'partial' };
}
