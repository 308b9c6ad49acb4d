import type { Operand } from '../../model/ruleset.ts';

const WORDS: Readonly<Record<string, string>> = {
  iifname: 'the incoming interface', oifname: 'the outgoing interface', physin: 'the incoming bridge port', physout: 'the outgoing bridge port', l4proto: 'the protocol', mark: 'the mark', pkttype: 'the packet type', skuid: "the socket's owner", skgid: "the socket's group",
  'ct.state': 'the conntrack state', 'ct.status': 'the conntrack status', 'ct.mark': 'the conntrack mark', 'addrtype.source': "the source address' type", 'addrtype.destination': "the destination address' type", cgroup2: 'the cgroup', nfproto: 'the address family',
};

/** A packet field in plain words. */
export function operandText(o: Operand): string {
  return WORDS[o.key] ?? `the ${o.key.replace('.', ' ')}`;
}
