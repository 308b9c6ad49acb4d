import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { links } from './read.ts';
import { symbolOf } from './words.ts';

/** Where tunnel devices send the outer packet (drivers/net/vxlan, geneve.c, bareudp.c; net/ipv4/ip_tunnel.c, ip6_tunnel.c, ip6_gre.c, sit.c; drivers/net/wireguard). */
const TRANSMITS = /^(vxlan6?_xmit(_one|_skb)?|geneve6?_xmit(_skb)?|bareudp6?_xmit(_skb)?|ip_(md_)?tunnel_xmit|ip6_tnl_xmit|ip6_tnl_start_xmit|ip6gre_tunnel_xmit|ipgre_xmit|gre_tap_xmit|ipip_tunnel_xmit|sit_tunnel_xmit(__)?|ipip6_tunnel_xmit|wg_xmit)$/;

export interface OuterPacket {
  readonly device: string;
  readonly kind: string;
  readonly remote: string;
  readonly local?: string;
}

/** The outer packet that a tunnel device could not send; undefined for other drops, and for a device whose far end is not fixed. */
export function outerPacket(evidence: Evidence, drop: DropEvent): Maybe<OuterPacket> | undefined {
  if (!TRANSMITS.test(symbolOf(drop))) return undefined;
  const all = links(evidence, drop.netns);
  if (isUnavailable(all)) return all;
  const link = all.find((l) => l.index === drop.ifindex) ?? all.find((l) => l.name === drop.interface);
  const remote = link?.data['remote'] ?? link?.data['remote6'] ?? link?.data['group'];
  const local = link?.data['local'] ?? link?.data['local6'];
  if (link === undefined || typeof remote !== 'string' || remote === 'any' || remote === '0.0.0.0' || remote === '::') return undefined;
  return { device: link.name, kind: link.kind ?? 'tunnel', remote, ...(typeof local === 'string' && local !== 'any' ? { local } : {}) };
}
