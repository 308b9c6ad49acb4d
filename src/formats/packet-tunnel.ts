import { u16be, u32be } from '../base/bytes.ts';
import type { Transport } from '../model/packet.ts';
import type { IpLayer } from './packet-ip.ts';

/** What carries another packet. */
export interface Tunnel {
  /** `vxlan`, `geneve`, `gre`, `ipip` (IPv4 inside IP), `sit` (IPv6 inside IPv4), `ip6tnl` (IPv6 inside IPv6). */
  readonly name: string;
  /** VNI or GRE key. */
  readonly key?: number;
  /** VXLAN: the first header word, host order (`vx_flags`: 0x08000000 VNI valid, 0x80000000 group policy with its id below). GENEVE: version, length and flag bytes. GRE: flags and version. */
  readonly flags?: number;
  /** Ethertype of what is inside; 0x6558 for an Ethernet frame. */
  readonly protocol: number;
  readonly payload: number;
}

const TEB = 0x6558;

/** The tunnel header at `at`, by IP protocol or by the well-known destination port. Sources: RFC 7348, draft-smith-vxlan-group-policy, RFC 8926, RFC 2784, RFC 2890. */
export function decodeTunnel(b: Uint8Array, layer: IpLayer, at: number, transport: Transport): Tunnel | undefined {
  switch (layer.ip.protocol) {
    case 4: return { name: 'ipip', protocol: 0x0800, payload: at };
    case 41: return { name: layer.ip.version === 4 ? 'sit' : 'ip6tnl', protocol: 0x86dd, payload: at };
    case 47: return decodeGre(b, at);
    case 17:
      if (transport.kind !== 'udp') return undefined;
      if (transport.destinationPort === 4789 || transport.destinationPort === 8472) return decodeVxlan(b, at + 8);
      return transport.destinationPort === 6081 ? decodeGeneve(b, at + 8) : undefined;
    default: return undefined;
  }
}

function decodeVxlan(b: Uint8Array, at: number): Tunnel | undefined {
  const flags = u32be(b, at), vni = u32be(b, at + 4);
  if (flags === undefined || vni === undefined) return undefined;
  return { name: 'vxlan', ...((flags & 0x08000000) === 0 ? {} : { key: vni >>> 8 }), flags, protocol: TEB, payload: at + 8 };
}

function decodeGeneve(b: Uint8Array, at: number): Tunnel | undefined {
  const head = u16be(b, at), protocol = u16be(b, at + 2), vni = u32be(b, at + 4);
  if (head === undefined || protocol === undefined || vni === undefined || head >> 14 !== 0) return undefined;
  return { name: 'geneve', key: vni >>> 8, flags: head, protocol, payload: at + 8 + ((head >> 8) & 0x3f) * 4 };
}

function decodeGre(b: Uint8Array, at: number): Tunnel | undefined {
  const flags = u16be(b, at), protocol = u16be(b, at + 2);
  if (flags === undefined || protocol === undefined || (flags & 7) !== 0) return undefined;
  let payload = at + 4;
  if ((flags & 0xc000) !== 0) payload += 4; // checksum (and routing) word
  const key = (flags & 0x2000) !== 0 ? u32be(b, payload) : undefined;
  if ((flags & 0x2000) !== 0) payload += 4;
  if ((flags & 0x1000) !== 0) payload += 4; // sequence
  return { name: 'gre', ...(key === undefined ? {} : { key }), flags, protocol, payload };
}
