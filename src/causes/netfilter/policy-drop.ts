import type { Cause } from '../../model/cause.ts';
import { judgeRules } from './verdict.ts';

export const cause: Cause = {
  id: 'netfilter.policy-drop',
  title: "no firewall rule accepted it, and the chain's policy is drop",
  needs: ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ebtables', 'arptables', 'ipset', 'link', 'route-get'],
  knowledge: {
    what: 'The packet went through all rules of a base chain without a verdict, and the policy of the chain is drop. Usually an accept for this service, this direction or this conntrack state is missing. With br_netfilter, frames that a bridge forwards meet the policy of FORWARD as well.',
    signs: ['drop reason NETFILTER_DROP; in nft_do_chain at another offset than for rules', 'no counter of a dropping rule moves', 'policy drop in nft list chains, or DROP behind the chain name in iptables-save'],
    fixes: ['add an accept for the flow, and for its answers', 'accept ct state established,related early in the chain', 'let tracking see the flow, where NOTRACK hides it from such a rule'],
    functions: ['nft_do_chain', 'ipt_do_table', 'nf_hook_slow', 'br_nf_forward_ip'],
    reasons: ['NETFILTER_DROP', 'NOT_SPECIFIED'],
    errnos: ['EPERM'],
    versions: ['6.7: nf_tables frees the packet itself, in nft_do_chain'],
    sources: ['net/netfilter/nf_tables_core.c', 'net/netfilter/core.c', 'nft(8)', 'iptables(8)'],
  },
  judge: (symptom, evidence) => judgeRules(symptom, evidence, (found) => found.action === 'policy'),
};
