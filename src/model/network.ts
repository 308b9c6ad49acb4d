/** The network configuration of a namespace, as its own tools list it, in typed form. Absent fields: the tool did not say. */

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly flags: readonly string[]; //     UP, LOWER_UP, NO-CARRIER, LOOPBACK, PROMISC, NOARP…
  readonly up: boolean; //                  administratively up
  readonly carrier: boolean; //             LOWER_UP
  readonly operstate: string;
  readonly mtu: number;
  readonly qdisc?: string; //               `noop`: whatever is sent is thrown away
  readonly address?: string; //             MAC
  readonly kind?: string; //                veth, bridge, vxlan, tun, gre… absent for hardware
  readonly slaveKind?: string;
  readonly master?: string;
  /** ifindex of the other end: in the namespace that `peerNetns` (nsid, local to this namespace) names, else in this one. */
  readonly peerIndex?: number;
  readonly peerName?: string; //            for a peer in the same namespace, or the lower device
  readonly peerNetns?: number;
  readonly txQueueLength?: number;
  readonly type: string; //                 ether, loopback, none…
  /** IFLA_INFO_DATA as iproute2 names it (vxlan: id, remote, local, port, gbp; tun: type, persist; gre: ikey, okey…). */
  readonly data: Readonly<Record<string, unknown>>;
  readonly stats?: { readonly rxBytes: number; readonly txBytes: number; readonly rxPackets: number; readonly rxDropped: number; readonly rxErrors: number; readonly txPackets: number; readonly txDropped: number; readonly txErrors: number; readonly txCarrierErrors: number };
}

export interface InterfaceAddress {
  readonly family: 4 | 6;
  readonly device: string;
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly peer?: string;
  readonly scope: string;
  readonly flags: readonly string[]; //     tentative, dadfailed, deprecated…
}

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'multicast' | 'anycast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw' | 'nat';

export interface Route {
  readonly family: 4 | 6;
  readonly type: RouteType;
  readonly destination: string; //          `10.0.0.0/24`, `default`
  readonly prefixLength: number;
  readonly table: string; //                `main`, `local`, `77`
  readonly gateway?: string;
  readonly device?: string;
  readonly source?: string; //              prefsrc
  readonly metric: number;
  readonly protocol?: string;
  readonly scope?: string;
  readonly flags: readonly string[]; //     linkdown, dead, onlink…
  readonly mtu?: number;
  readonly hopLimit?: number;
  /** Id of the nexthop object (ip-nexthop(8)) that says where it leads. */
  readonly nexthopId?: number;
  readonly nexthops: readonly { readonly gateway?: string; readonly device?: string; readonly flags: readonly string[] }[];
}

export interface PolicyRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly not: boolean;
  readonly from?: string; //                prefix; absent: all
  readonly to?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly mark?: number;
  readonly markMask?: number;
  readonly tos?: number;
  readonly protocol?: number;
  readonly sourcePorts?: readonly [number, number];
  readonly destinationPorts?: readonly [number, number];
  readonly uids?: readonly [number, number];
  readonly l3mdev: boolean;
  readonly suppressPrefixLength?: number;
  /** `lookup` with a table, or the refusal itself. */
  readonly action: 'lookup' | 'blackhole' | 'unreachable' | 'prohibit' | 'goto' | 'nop';
  readonly table?: string;
  readonly goto?: number;
}

export interface Neighbour {
  readonly family: 4 | 6;
  readonly address: string;
  readonly device: string;
  readonly mac?: string;
  readonly states: readonly string[]; //    REACHABLE, STALE, FAILED, INCOMPLETE, PERMANENT…
  readonly router: boolean;
  readonly proxy: boolean;
}

/** What the kernel answers when asked for the route of one packet. */
export type RouteAnswer =
  | { readonly kind: 'route'; readonly type: RouteType; readonly device?: string; readonly gateway?: string; readonly source?: string; readonly mtu?: number; readonly table?: string }
  | { readonly kind: 'refused'; readonly errno: 'ENETUNREACH' | 'EHOSTUNREACH' | 'EACCES' | 'EINVAL' | 'EXDEV' | 'ENODEV' | 'other'; readonly text: string };

export interface BridgePort {
  readonly name: string;
  readonly ifindex: number;
  readonly bridge: string;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly state: string; //                disabled, listening, learning, forwarding, blocking
  readonly isolated: boolean;
  readonly locked: boolean;
  readonly flood: boolean; //               unknown unicast is sent here
  readonly multicastFlood: boolean;
  readonly broadcastFlood: boolean;
  readonly learning: boolean;
  readonly hairpin: boolean;
  readonly neighbourSuppress: boolean;
}

export interface FdbEntry {
  readonly mac: string;
  readonly device: string;
  readonly bridge?: string; //              master
  readonly vlan?: number;
  readonly state: string; //                permanent, static, '' for a learned one
  readonly flags: readonly string[]; //     self, sticky, extern_learn…
  readonly destination?: string; //         vxlan: remote
}

export interface BridgeVlan {
  readonly device: string;
  readonly first: number;
  readonly last: number;
  readonly flags: readonly string[]; //     PVID, Egress Untagged
}

export interface Qdisc {
  readonly kind: string;
  readonly handle: string; //               `1:`
  readonly device: string;
  readonly parent?: string; //              `1:10`, `ingress`; absent: root
  readonly root: boolean;
  readonly options: Readonly<Record<string, unknown>>;
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly overlimits: number;
  readonly backlogBytes: number;
  readonly queued: number;
}

export interface TrafficClass {
  readonly kind: string;
  readonly id: string; //                   `1:10`
  readonly device: string; //               empty where the listing did not say
  readonly parent?: string; //              absent: root
  readonly leaf?: string; //                handle of the qdisc under it
  readonly rate?: string;
  readonly ceil?: string;
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly overlimits: number;
}

export interface TrafficFilter {
  readonly direction: 'ingress' | 'egress' | 'other';
  readonly parent?: string;
  readonly protocol: string; //             all, ip, ipv6, arp…
  readonly preference: number;
  readonly kind: string; //                 bpf, u32, matchall, flower…
  readonly handle?: string; //              `0x1`, `800::800`
  readonly chain: number;
  readonly classId?: string;
  readonly directAction: boolean;
  readonly program?: { readonly name?: string; readonly id?: number; readonly tag?: string };
  /** Classic BPF, where the filter holds it. */
  readonly bytecode?: readonly { readonly code: number; readonly jt: number; readonly jf: number; readonly k: number }[];
  readonly matches: readonly { readonly value: number; readonly mask: number; readonly offset: number }[];
  readonly actions: readonly TrafficAction[];
}

export interface TrafficAction {
  readonly kind: string; //                 gact, police, mirred, bpf, pedit…
  readonly control?: string; //             drop, pass, stolen, pipe…
  readonly toDevice?: string; //            mirred
  readonly index?: number;
  readonly rate?: string;
  readonly drops: number;
  readonly packets: number;
}

export interface XfrmSelector {
  readonly source: string; //               prefix
  readonly destination: string;
  readonly protocol?: string; //            name or number; absent: any
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly device?: string;
}

export interface XfrmPolicy {
  readonly selector: XfrmSelector;
  readonly direction: string; //            in, out, fwd, `socket in`…
  readonly action: 'allow' | 'block';
  readonly priority: number;
  readonly index?: number;
  readonly mark?: string;
  readonly ifId?: string;
  readonly templates: readonly { readonly source: string; readonly destination: string; readonly protocol: string; readonly spi?: string; readonly reqid?: number; readonly mode?: string; readonly optional: boolean }[];
}

export interface XfrmState {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly spi: string;
  readonly reqid?: number;
  readonly mode?: string;
}
