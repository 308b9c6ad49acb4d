import type { Place } from '../../model/event.ts';
import type { HookName, RuleFamily } from '../../model/ruleset.ts';
import type { Symptom } from '../../model/symptom.ts';

/** Where in netfilter a packet died, as far as the stack tells. */
export interface HookPoint {
  /** Whose hooks it was going through: `bridge` are frames on a bridge, `ip`/`ip6` also bridged ones under br_netfilter. */
  readonly family: 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev';
  readonly hook: HookName;
  /**
   * `nft`: freed by nft_do_chain, so an nf_tables rule or policy. `slow`: freed by nf_hook_slow, on behalf of
   * iptables-legacy, BPF, conntrack or NAT (and of nf_tables before 6.7). `queue`: nf_queue. `unknown`: no symbols.
   */
  readonly by: 'nft' | 'slow' | 'queue' | 'unknown';
  /** The nf_tables family whose chain gave the verdict (nft_do_chain_inet…), when the stack shows it. */
  readonly tables?: RuleFamily;
  /** An IP hook reached from a bridge (br_netfilter, bridge-nf-call-iptables). */
  readonly bridged: boolean;
}

const HOOKS: ReadonlyMap<string, readonly [family: HookPoint['family'] | 'any', hook: HookName]> = new Map([
  // net/ipv4, net/ipv6
  ...rows('ip', 'output', ['__ip_local_out', 'ip_local_out', 'ip_build_and_send_pkt', '__ip_queue_xmit', 'ip_queue_xmit', 'ip_send_skb', 'ip_push_pending_frames', 'raw_sendmsg', 'raw_send_hdrinc', 'igmp_send_report', 'igmpv3_sendpack']),
  ...rows('ip6', 'output', ['__ip6_local_out', 'ip6_local_out', 'ip6_xmit', 'ip6_send_skb', 'ip6_push_pending_frames', 'rawv6_sendmsg', 'rawv6_send_hdrinc', 'ndisc_send_skb', 'mld_sendpack', 'igmp6_send']),
  ...rows('ip', 'postrouting', ['ip_output', 'ip_mc_output', 'xfrm4_output']),
  ...rows('ip6', 'postrouting', ['ip6_output', 'ip6_mc_output', 'xfrm6_output']),
  ...rows('ip', 'input', ['ip_local_deliver']),
  ...rows('ip6', 'input', ['ip6_input', 'ip6_mc_input']),
  ...rows('ip', 'forward', ['ip_forward', 'ipmr_queue_xmit', 'ipmr_queue_fwd_xmit', 'ip_mr_forward']),
  ...rows('ip6', 'forward', ['ip6_forward', 'ip6mr_forward2', 'ip6_mr_forward']),
  ...rows('ip', 'prerouting', ['ip_rcv', 'ip_list_rcv', 'ip_sublist_rcv', 'xfrm4_transport_finish']),
  ...rows('ip6', 'prerouting', ['ipv6_rcv', 'ipv6_list_rcv', 'ip6_sublist_rcv', 'xfrm6_transport_finish']),
  ...rows('arp', 'input', ['arp_rcv']),
  ...rows('arp', 'output', ['arp_xmit', 'arp_send_dst', 'arp_send', 'arp_solicit', 'arp_process']),
  // net/bridge
  ...rows('bridge', 'prerouting', ['br_handle_frame', 'nf_hook_bridge_pre']),
  ...rows('bridge', 'forward', ['__br_forward', 'br_forward', 'br_flood', 'br_multicast_flood', 'maybe_deliver', 'deliver_clone']),
  ...rows('bridge', 'postrouting', ['br_forward_finish']),
  ...rows('bridge', 'input', ['br_pass_frame_up']),
  ...rows('bridge', 'output', ['br_dev_xmit']),
  // net/bridge/br_netfilter_hooks.c: IP hooks called for bridged frames
  ...rows('any', 'prerouting', ['br_nf_pre_routing', 'br_nf_pre_routing_ipv6']),
  ...rows('any', 'forward', ['br_nf_forward', 'br_nf_forward_ip']),
  ...rows('arp', 'forward', ['br_nf_forward_arp']),
  ...rows('any', 'postrouting', ['br_nf_post_routing']),
  // net/core/dev.c
  ...rows('netdev', 'ingress', ['__netif_receive_skb_core', 'nf_ingress']),
  ...rows('netdev', 'egress', ['__dev_queue_xmit', 'nf_hook_egress']),
]);

function rows(family: HookPoint['family'] | 'any', hook: HookName, names: readonly string[]): [string, readonly [HookPoint['family'] | 'any', HookName]][] {
  return names.map((name) => [name, [family, hook]]);
}

const CHAIN_FAMILY: Readonly<Record<string, RuleFamily>> = {
  nft_do_chain_ipv4: 'ip', nft_do_chain_ipv6: 'ip6', nft_do_chain_inet: 'inet', nft_do_chain_inet_ingress: 'inet', nft_do_chain_arp: 'arp', nft_do_chain_bridge: 'bridge', nft_do_chain_netdev: 'netdev',
  nf_route_table_hook4: 'ip', nf_route_table_hook6: 'ip6', nf_route_table_inet: 'inet',
};

const NETFILTER = /^(nf_hook_slow|nf_hook_slow_list|nft_do_chain|nf_queue|nf_reinject|ipt_do_table|ip6t_do_table|arpt_do_table|ebt_do_table)$/;
const bare = (place: Place): string => (place.name ?? '').replace(/\..*$/, '');

/** True for a drop that netfilter did (a rule, a policy, conntrack, NAT, a BPF netfilter program, a queue). */
export function droppedByNetfilter(symptom: Symptom): boolean {
  if (symptom.kind !== 'drop') return false;
  const { drop } = symptom;
  return drop.reason.name === 'NETFILTER_DROP' || NETFILTER.test(bare(drop.place));
}

/** The hook, from names on the stack (6.1 to 6.18); undefined when netfilter did not drop it or no name tells. */
export function hookOf(symptom: Symptom): HookPoint | undefined {
  if (symptom.kind !== 'drop' || !droppedByNetfilter(symptom)) return undefined;
  const { drop } = symptom;
  const names = [bare(drop.place), ...drop.stack.map(bare)];
  const at = bare(drop.place);
  const by = at === 'nft_do_chain' ? 'nft' : at === 'nf_queue' || at === 'nf_reinject' ? 'queue' : NETFILTER.test(at) ? 'slow' : names.includes('nft_do_chain') ? 'nft' : names.includes('nf_queue') ? 'queue' : names.includes('nf_hook_slow') ? 'slow' : 'unknown';
  const tables = names.map((n) => CHAIN_FAMILY[n]).find((f) => f !== undefined);
  const inner = Math.max(0, names.findIndex((n) => NETFILTER.test(n)));
  for (let i = inner; i < names.length; i++) {
    const name = names[i] as string;
    const found = HOOKS.get(name);
    if (found === undefined) continue;
    const bridged = name.startsWith('br_nf_');
    const family = found[0] !== 'any' ? found[0] : drop.protocol === 0x86dd ? 'ip6' : 'ip';
    // frames that this host itself sends through a bridge pass the bridge's OUTPUT
    const hook = family === 'bridge' && found[1] === 'forward' && names.slice(i).includes('br_dev_xmit') ? 'output' : found[1];
    return { family: tables === 'netdev' ? 'netdev' : family, hook, by, ...(tables === undefined ? {} : { tables }), bridged };
  }
  return undefined;
}

/** `INPUT`, as incidents name it. */
export const hookName = (hook: HookName): string => hook.toUpperCase();
