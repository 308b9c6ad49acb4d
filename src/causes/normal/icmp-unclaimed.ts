import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

export const cause: Cause = {
  id: 'normal.icmp-unclaimed',
  title: 'ICMP messages that no ping socket claims',
  needs: [],
  knowledge: {
    what: 'Every echo reply is offered to the kernel\'s ping sockets. A ping program that uses a raw socket gets its copy elsewhere, so for the ping sockets there is no taker and the kernel accounts a drop, for every answered ping.',
    signs: ['NO_SOCKET at ping_rcv', 'The ping itself reports no loss'],
    fixes: ['Nothing need be done'],
    functions: ['ping_rcv', 'icmp_rcv', 'icmpv6_rcv'],
    reasons: ['NO_SOCKET'],
    errnos: [],
    versions: ['NO_SOCKET at ping_rcv since 5.19'],
    sources: ['net/ipv4/ping.c', 'net/ipv4/icmp.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const place = symbolOf(drop);
    const icmp = drop.packet.transport?.kind === 'icmp' || drop.packet.transport?.kind === 'icmp6';
    if (!(place === 'ping_rcv' && (drop.reason.name === 'NO_SOCKET' || drop.reason.name === 'NOT_SPECIFIED')) && !(icmp && /^(icmp_rcv|icmpv6_rcv)$/.test(place) && (drop.reason.name === 'NOT_SPECIFIED' || drop.reason.name === 'NO_SOCKET' || drop.reason.name === 'UNHANDLED_PROTO' || (drop.reason.name === 'INVALID_PROTO' && place === 'icmp_rcv')))) return NOT_APPLICABLE;
    return noise(evidence, drop, 'icmp', 'An ICMP message found no ping socket', 'Programs with a raw socket got their copy all the same.', 0.96);
  },
};
