import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Tuple } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { protocolName } from '../../model/flow.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';
import { inNetns } from '../netns.ts';

/** A command that exempts one exchange from connection tracking in both directions, and the one that takes it back. */
export interface Exemption {
  readonly command: string;
  readonly undo: string;
  /** `udp 10.0.0.1 ↔ 10.0.0.2 port 1194` */
  readonly what: string;
}

const TABLE = 'whydrop_notrack';

/** Its own nft table, so that nothing that is there is touched; iptables' raw table where nft is not installed. */
export function exemption(evidence: Evidence, netns: Netns, t: Tuple): Exemption {
  const rules = evidence.lastAnswer(ask('nft', netns));
  const port = servicePort(t);
  const what = `${protocolName(t.protocol)} ${t.source} ↔ ${t.destination}${port === undefined ? '' : ` port ${port.number}`}`;
  const noNft = isUnavailable(rules) && rules.unavailable === 'missing-program';
  return { ...(noNft ? byIptables(evidence, netns, t, port) : byNft(evidence, netns, t, port)), what };
}

interface Service {
  readonly number: number;
  /** At the destination of the tuple; else at its source. */
  readonly atDestination: boolean;
}

/** The port that stays from one connection to the next: the lower one, and both where they are the same. */
function servicePort(t: Tuple): Service | undefined {
  if (t.protocol === 1 || t.protocol === 58 || t.sourcePort === undefined || t.destinationPort === undefined) return undefined;
  return t.sourcePort < t.destinationPort && t.sourcePort < 32_768 ? { number: t.sourcePort, atDestination: false } : { number: t.destinationPort, atDestination: true };
}

function byNft(evidence: Evidence, netns: Netns, t: Tuple, port: Service | undefined): Omit<Exemption, 'what'> {
  const ip = t.family === 6 ? 'ip6' : 'ip';
  const name = protocolName(t.protocol);
  const side = (source: string, destination: string, there: boolean): string => `${ip} saddr ${source} ${ip} daddr ${destination} ${port === undefined ? `meta l4proto ${t.protocol}` : `${/^[a-z]+$/.test(name) ? name : 'th'} ${there ? 'dport' : 'sport'} ${port.number}`} notrack`;
  const forth = side(t.source, t.destination, port?.atDestination ?? true), back = side(t.destination, t.source, !(port?.atDestination ?? true));
  const chain = (hook: string): string => `chain ${hook} { type filter hook ${hook} priority -300; ${forth}; ${back}; }`;
  return {
    command: inNetns(evidence, netns, `nft ${shellQuote(`table inet ${TABLE} { ${chain('prerouting')}; ${chain('output')}; }`)}`),
    undo: inNetns(evidence, netns, `nft delete table inet ${TABLE}`),
  };
}

function byIptables(evidence: Evidence, netns: Netns, t: Tuple, port: Service | undefined): Omit<Exemption, 'what'> {
  const tool = t.family === 6 ? 'ip6tables' : 'iptables';
  const side = (source: string, destination: string, there: boolean): string => `-s ${source} -d ${destination} -p ${t.protocol}${port === undefined ? '' : ` ${there ? '--dport' : '--sport'} ${port.number}`} -j NOTRACK`;
  const both = [side(t.source, t.destination, port?.atDestination ?? true), side(t.destination, t.source, !(port?.atDestination ?? true))];
  const all = (verb: string): string => both.flatMap((rule) => ['PREROUTING', 'OUTPUT'].map((chain) => inNetns(evidence, netns, `${tool} -t raw ${verb} ${chain} ${rule}`))).join(' && ');
  return { command: all('-I'), undo: all('-D') };
}
