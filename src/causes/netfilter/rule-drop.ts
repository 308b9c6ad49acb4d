import type { Cause } from '../../model/cause.ts';
import { judgeRules } from './verdict.ts';

export const cause: Cause = {
  id: 'netfilter.rule-drop',
  title: 'a firewall rule dropped it',
  needs: ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ebtables', 'arptables', 'ipset', 'link', 'route-get'],
  knowledge: {
    what: 'A rule of nftables, iptables, ip6tables, ebtables or arptables matched the packet and its verdict was drop. Nobody is told: a sender on another host sees silence. A sender on this host gets EPERM from send when the rule sits in OUTPUT or POSTROUTING; TCP only sees a timeout.',
    signs: ['drop reason NETFILTER_DROP at nft_do_chain (nftables and the -nft tools) or at nf_hook_slow (the -legacy tools)', 'EPERM from sendto or sendmsg', "the rule's packet counter rises with every loss", 'iptables -S shows nothing: look at iptables-legacy-save and nft list ruleset too'],
    fixes: ['delete the rule, or the set element that matched', 'insert an accept for the flow before it', 'raise the limit, where the rule only drops above one'],
    functions: ['nft_do_chain', 'ipt_do_table', 'ip6t_do_table', 'ebt_do_table', 'arpt_do_table', 'nf_hook_slow'],
    reasons: ['NETFILTER_DROP', 'NOT_SPECIFIED'],
    errnos: ['EPERM'],
    versions: ['5.17: drops have a reason', '6.7: nf_tables frees the packet itself, so its drops are located in nft_do_chain and all others in nf_hook_slow'],
    sources: ['net/netfilter/nf_tables_core.c', 'net/netfilter/core.c', 'nft(8)', 'iptables(8)', 'iptables-extensions(8)', 'ebtables(8)', 'arptables(8)', 'ipset(8)'],
  },
  judge: (symptom, evidence) => judgeRules(symptom, evidence, (found) => found.action === 'drop' || found.action === 'steal'),
};
