/** What an errno of a socket call means, before any cause is known. */
export interface ErrnoMeaning {
  /** Calls that it is about, as the beginning of their names; empty: all. */
  readonly syscalls: readonly string[];
  /** One or two plain sentences. */
  readonly text: string;
  /** What to look at or do. */
  readonly advice: string;
  /** Part of how programs work: no loss, nobody need act. */
  readonly normal: boolean;
}

const SENDING = ['send', 'write', 'connect'] as const;

/** errno → meanings, the narrower first. Sources: man 2 of the calls; net/socket.c, net/ipv4, net/ipv6, Linux 6.18. */
export const ERRNOS: Readonly<Record<string, readonly ErrnoMeaning[]>> = {
  EPERM: [
    { syscalls: SENDING, text: 'Something refused the packet or the call on purpose: a firewall rule, a BPF program on the cgroup, an IPsec policy, connection tracking, or a seccomp filter. It is not about file permissions.', advice: 'A drop that comes with the call says which; without one it was refused before a packet was made.', normal: false },
    { syscalls: ['socket', 'setsockopt'], text: 'The socket type or option needs a capability that the process lacks (CAP_NET_RAW, CAP_NET_ADMIN).', advice: 'Look at CapEff in /proc/PID/status.', normal: false },
  ],
  EACCES: [
    { syscalls: ['bind'], text: 'Ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE, or a security module refused the port.', advice: 'Give the capability, or lower net.ipv4.ip_unprivileged_port_start.', normal: false },
    { syscalls: SENDING, text: 'The destination is a broadcast address and SO_BROADCAST is not set, or the route says prohibit, or a security module refused.', advice: 'ip route get ADDRESS shows a prohibit route; journalctl -k shows a security module.', normal: false },
  ],
  ENETUNREACH: [{ syscalls: [], text: 'There is no route to the destination, or, for IPv6, no address to send from.', advice: 'ip route get ADDRESS', normal: false }],
  EHOSTUNREACH: [{ syscalls: [], text: 'The next hop does not answer ARP or neighbour discovery, the route says unreachable, or a router on the way said so.', advice: 'ip route get ADDRESS, then ip neigh', normal: false }],
  ENETDOWN: [{ syscalls: [], text: 'The interface that the packet was to leave by is down.', advice: 'ip link set dev X up', normal: false }],
  EHOSTDOWN: [{ syscalls: [], text: 'The link layer knows that the host is gone.', advice: 'ip neigh', normal: false }],
  ENOBUFS: [{ syscalls: [], text: 'The queue of the outgoing interface or its traffic control refused the packet, and the socket asked to be told (IP_RECVERR); or memory ran out.', advice: 'tc -s qdisc', normal: false }],
  ENOMEM: [{ syscalls: [], text: 'The kernel could not get memory for the packet or socket.', advice: 'net.ipv4.tcp_mem, udp_mem, the memory limit of the cgroup', normal: false }],
  EMSGSIZE: [{ syscalls: [], text: 'The message is larger than the path allows and may not be fragmented, or larger than the protocol can carry.', advice: 'ip route get ADDRESS shows the MTU; send smaller messages', normal: false }],
  ECONNREFUSED: [{ syscalls: [], text: 'The other side answered that nobody listens on that port, or a firewall rejects in its name.', advice: 'Start the service, or give the right address and port.', normal: false }],
  ECONNRESET: [{ syscalls: [], text: 'The other side reset the connection: it had closed it, or its program had ended.', advice: 'Open a new connection and repeat the request.', normal: true }],
  EPIPE: [{ syscalls: [], text: 'The connection was closed before this was sent; what was sent is lost.', advice: 'Open a new connection and repeat the request.', normal: true }],
  ECONNABORTED: [{ syscalls: [], text: 'The connection ended before the program accepted it.', advice: 'Nothing need be done.', normal: true }],
  ETIMEDOUT: [{ syscalls: [], text: 'Nothing came back in time: what was sent, or its answer, is dropped on the way without a word.', advice: 'Watch the path for drops on both hosts.', normal: false }],
  EADDRNOTAVAIL: [
    { syscalls: ['bind'], text: 'No interface has that address.', advice: 'ip address', normal: false },
    { syscalls: SENDING, text: 'No local port is left for that destination, or no address to send from.', advice: 'net.ipv4.ip_local_port_range, ss -s', normal: false },
  ],
  EADDRINUSE: [{ syscalls: [], text: 'Another socket has that port, or an ended connection holds it and SO_REUSEADDR is not set.', advice: 'ss -lntup sport = :PORT', normal: false }],
  EINVAL: [{ syscalls: SENDING, text: 'The route says blackhole, or the arguments are wrong: a source address of another family, a device that does not fit.', advice: 'ip route get ADDRESS', normal: false }],
  ENODEV: [{ syscalls: [], text: 'There is no interface of that name or index.', advice: 'ip link', normal: false }],
  ENXIO: [{ syscalls: [], text: 'The interface that the socket was bound to has gone.', advice: 'ip link', normal: false }],
  EAFNOSUPPORT: [{ syscalls: [], text: 'The address family is not supported: IPv6 is turned off, or the address does not fit the socket.', advice: 'net.ipv6.conf.all.disable_ipv6, ipv6.disable on the kernel command line', normal: false }],
  EPROTONOSUPPORT: [{ syscalls: [], text: 'The kernel does not have that protocol.', advice: 'Load the module of the protocol (sctp, l2tp…).', normal: false }],
  ENOPROTOOPT: [{ syscalls: [], text: 'The kernel does not know that socket option, or it is for another protocol.', advice: 'Most programs try options and go on without.', normal: true }],
  EOPNOTSUPP: [{ syscalls: [], text: 'The socket does not do that.', advice: 'Most programs try and go on without.', normal: true }],
  EDESTADDRREQ: [{ syscalls: [], text: 'The socket has no destination; for WireGuard: the peer has no endpoint yet.', advice: 'wg show; give the peer an Endpoint', normal: false }],
  ENOKEY: [{ syscalls: [], text: 'WireGuard: no peer has that destination in its AllowedIPs, or none has a key.', advice: 'wg show allowed-ips', normal: false }],
  EXDEV: [{ syscalls: [], text: 'The packet would leave by another device than the socket is bound to, or a source check refused it.', advice: 'ip route get ADDRESS oif DEVICE', normal: false }],
  ENOTCONN: [{ syscalls: [], text: 'The socket is not connected (any more).', advice: 'Nothing need be done.', normal: true }],
  EISCONN: [{ syscalls: [], text: 'The socket is connected already.', advice: 'Nothing need be done.', normal: true }],
  EINPROGRESS: [{ syscalls: [], text: 'The connection is being made; the program is told later.', advice: 'Nothing need be done.', normal: true }],
  EALREADY: [{ syscalls: [], text: 'An earlier attempt is still going on.', advice: 'Nothing need be done.', normal: true }],
  EAGAIN: [{ syscalls: [], text: 'The call would have had to wait, and the program asked not to.', advice: 'Nothing need be done.', normal: true }],
  EINTR: [{ syscalls: [], text: 'A signal came while the call waited.', advice: 'Nothing need be done.', normal: true }],
};

/** The meaning that fits a call best; undefined for errnos that networking does not give. */
export function meaningOf(errno: string, syscall: string): ErrnoMeaning | undefined {
  const list = ERRNOS[errno];
  return list?.find((m) => m.syscalls.some((s) => syscall.startsWith(s))) ?? list?.find((m) => m.syscalls.length === 0) ?? list?.[0];
}
