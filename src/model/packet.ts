/**
 * A packet's head, decoded as far as its bytes were captured. Every part is optional: unknown is a value.
 * Addresses are text in canonical form (RFC 5952 for IPv6), MAC addresses are `aa:bb:cc:dd:ee:ff`.
 */
export interface Packet {
  readonly ethernet?: Ethernet;
  readonly arp?: Arp;
  readonly ip?: Ip;
  readonly transport?: Transport;
  /** For VXLAN, GENEVE, GRE, IPIP: the packet inside, and the tunnel's key. */
  readonly inner?: { readonly tunnel: string; readonly key?: number; readonly flags?: number; readonly packet: Packet };
  /** For ICMP errors: the packet that caused them. */
  readonly quoted?: Packet;
  /** What is wrong with the bytes themselves, in words: "IPv4 header checksum 0x1234, computed 0x5678". */
  readonly defects: readonly Defect[];
}

export interface Defect {
  readonly kind: 'ip-checksum' | 'ip-header' | 'transport-checksum' | 'truncated';
  readonly text: string;
}

export interface Ethernet {
  readonly source: string;
  readonly destination: string;
  readonly type: number;
  readonly vlan?: number;
}

export interface Arp {
  readonly operation: number;
  readonly senderMac: string;
  readonly sender: string;
  readonly targetMac: string;
  readonly target: string;
}

export interface Ip {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** IANA protocol number of the transport (behind IPv6 extension headers). */
  readonly protocol: number;
  readonly ttl: number;
  readonly totalLength: number;
  readonly headerLength: number;
  readonly tos: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly options?: readonly number[]; //   IPv4 option types
}

export type Transport =
  | { readonly kind: 'udp'; readonly sourcePort: number; readonly destinationPort: number; readonly length: number; readonly checksum: number }
  | { readonly kind: 'tcp'; readonly sourcePort: number; readonly destinationPort: number; readonly flags: number; readonly sequence: number; readonly acknowledgement: number; readonly window: number; readonly options: readonly number[]; readonly timestamp?: number }
  | { readonly kind: 'icmp' | 'icmp6'; readonly type: number; readonly code: number; readonly id?: number; readonly sequence?: number; readonly mtu?: number }
  | { readonly kind: 'sctp' | 'dccp' | 'udplite'; readonly sourcePort: number; readonly destinationPort: number }
  | { readonly kind: 'other'; readonly protocol: number };

/** TCP flag bits (RFC 9293). */
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

/** Who talks to whom. `source` and `destination` are `10.0.0.1:53`, `[fd00::1]:53`, or an address alone. */
export interface Flow {
  readonly protocol: string; //   tcp, udp, icmp, icmp6, arp, or the number
  readonly source: string;
  readonly destination: string;
}
