import type { CallEvent } from '../../model/event.ts';

/** What a socket call asks for, and the capabilities of which one suffices. */
export interface Privilege {
  readonly what: string;
  readonly anyOf: readonly string[];
  /** The errno that the kernel gives without. */
  readonly errno: 'EPERM' | 'EACCES';
}

const NET_ADMIN = 'CAP_NET_ADMIN';
const NET_RAW = 'CAP_NET_RAW';

/** `level|option` → option name and who may set it. Numbers of asm-generic/socket.h and linux/in.h, in6.h, tcp.h; net/core/sock.c, 6.18. */
const OPTIONS: Readonly<Record<string, Privilege>> = {
  '1|36': { what: 'SO_MARK', anyOf: [NET_RAW, NET_ADMIN], errno: 'EPERM' },
  '1|12': { what: 'SO_PRIORITY above 6', anyOf: [NET_RAW, NET_ADMIN], errno: 'EPERM' },
  '1|32': { what: 'SO_SNDBUFFORCE', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '1|33': { what: 'SO_RCVBUFFORCE', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '1|25': { what: 'SO_BINDTODEVICE (to change a binding)', anyOf: [NET_RAW], errno: 'EPERM' },
  '1|1': { what: 'SO_DEBUG', anyOf: [NET_ADMIN], errno: 'EACCES' },
  '1|46': { what: 'SO_BUSY_POLL (to raise it)', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '1|69': { what: 'SO_PREFER_BUSY_POLL', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '1|61': { what: 'SO_TXTIME', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '1|50': { what: 'SO_ATTACH_BPF', anyOf: [], errno: 'EPERM' },
  '1|26': { what: 'SO_ATTACH_FILTER', anyOf: [], errno: 'EPERM' },
  '1|27': { what: 'SO_DETACH_FILTER', anyOf: [], errno: 'EPERM' },
  '1|44': { what: 'SO_LOCK_FILTER', anyOf: [], errno: 'EPERM' },
  '0|19': { what: 'IP_TRANSPARENT', anyOf: [NET_RAW, NET_ADMIN], errno: 'EPERM' },
  '41|75': { what: 'IPV6_TRANSPARENT', anyOf: [NET_RAW, NET_ADMIN], errno: 'EPERM' },
  '41|54': { what: 'IPV6_HOPOPTS', anyOf: [NET_RAW], errno: 'EPERM' },
  '41|59': { what: 'IPV6_DSTOPTS', anyOf: [NET_RAW], errno: 'EPERM' },
  '41|34': { what: 'IPV6_IPSEC_POLICY', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '41|35': { what: 'IPV6_XFRM_POLICY', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '0|16': { what: 'IP_IPSEC_POLICY', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '0|17': { what: 'IP_XFRM_POLICY', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '0|64': { what: 'IPT_SO_SET_REPLACE (iptables-legacy)', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '6|19': { what: 'TCP_REPAIR', anyOf: [NET_ADMIN], errno: 'EPERM' },
  '6|13': { what: 'TCP_CONGESTION with a restricted algorithm', anyOf: [NET_ADMIN], errno: 'EPERM' },
};

const AF_INET = 2, AF_INET6 = 10, AF_PACKET = 17;
const SOCK_RAW = 3, SOCK_PACKET = 10;

const low = (value: bigint | undefined): number => Number(BigInt.asIntN(32, value ?? 0n));

/** What the call would have needed a capability for; undefined when it is none of the calls that do. */
export function privilegeOf(call: CallEvent, unprivilegedPortStart = 1024): Privilege | undefined {
  const permission = call.errno === 'EPERM' || call.errno === 'EACCES';
  if (!permission) return undefined;
  switch (call.syscall) {
    case 'socket': {
      const domain = low(call.args[0]);
      const type = low(call.args[1]) & 0xf;
      if (domain === AF_PACKET) return { what: 'a packet socket (AF_PACKET)', anyOf: [NET_RAW], errno: 'EPERM' };
      if ((domain === AF_INET || domain === AF_INET6) && (type === SOCK_RAW || type === SOCK_PACKET)) return { what: `a raw socket (${domain === AF_INET ? 'AF_INET' : 'AF_INET6'}, SOCK_RAW, protocol ${low(call.args[2])})`, anyOf: [NET_RAW], errno: 'EPERM' };
      return undefined;
    }
    case 'setsockopt':
      return OPTIONS[`${low(call.args[1])}|${low(call.args[2])}`];
    case 'bind': {
      const port = /:(\d+)$/.exec(call.destination ?? '')?.[1];
      if (call.errno === 'EACCES' && port !== undefined && Number(port) > 0 && Number(port) < unprivilegedPortStart) return { what: `port ${port}, which is below net.ipv4.ip_unprivileged_port_start = ${unprivilegedPortStart}`, anyOf: ['CAP_NET_BIND_SERVICE'], errno: 'EACCES' };
      return undefined;
    }
    default:
      return undefined;
  }
}

/** `cap_net_raw`, as setcap, unit files and container tools write it. */
export const capabilityText = (name: string): string => name.toLowerCase();
