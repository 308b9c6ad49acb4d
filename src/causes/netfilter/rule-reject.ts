import type { Cause } from '../../model/cause.ts';
import { judgeRules } from './verdict.ts';

export const cause: Cause = {
  id: 'netfilter.rule-reject',
  title: 'a firewall rule rejected it',
  needs: ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ebtables', 'arptables', 'ipset', 'link', 'route-get'],
  knowledge: {
    what: 'A rule with REJECT matched the packet: it was dropped, and its sender was told so by an ICMP error or a TCP reset. The application sees "connection refused", "no route to host" or "network unreachable" at once, instead of a timeout.',
    signs: ['drop reason NETFILTER_DROP at nft_do_chain or nf_hook_slow', 'ECONNREFUSED, EHOSTUNREACH or ENETUNREACH although host and service are there', "the rule's packet counter rises"],
    fixes: ['delete the rule', 'insert an accept for the flow before it', 'raise the limit, where the rule only rejects above one (connlimit, limit)'],
    functions: ['nft_reject_ipv4_eval', 'nft_reject_inet_eval', 'nf_send_reset', 'nf_send_unreach', 'reject_tg'],
    reasons: ['NETFILTER_DROP', 'NOT_SPECIFIED'],
    errnos: ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EPERM'],
    versions: ['6.7: nf_tables frees the packet itself, in nft_do_chain'],
    sources: ['net/netfilter/nft_reject.c', 'net/ipv4/netfilter/nf_reject_ipv4.c', 'nft(8)', 'iptables-extensions(8)'],
  },
  judge: (symptom, evidence) => judgeRules(symptom, evidence, (found) => found.action === 'reject'),
};
