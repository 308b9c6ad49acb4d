import { attachedAt, bpfPrograms, programText } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { addresses, broadcastOf, isOwn } from '../../evidence/socket/addresses.ts';
import { flowText, isChatter, plainAddress } from '../../evidence/socket/flow.ts';
import { callLine, dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { sysctlNumbers } from '../../evidence/network/sysctl.ts';
import { accepts, bothFamilies, listenersOn, socketText } from '../../evidence/socket/table.ts';
import { recreateWithPort, udpTunnels, type UdpTunnel } from '../../evidence/socket/tunnels.ts';
import { processText } from '../../evidence/process/words.ts';
import { endpoint, splitEndpoint } from '../../base/inet.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding, type Found } from '../../model/finding.ts';
import { flowOf } from '../../model/flow.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import { TCP_FLAG, type Packet } from '../../model/packet.ts';
import type { Socket } from '../../model/socket.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const id = 'socket.no-listener';
/** traceroute(8) ends at the first port that refuses: it counts up from 33434. */
const isTracePort = (port: number): boolean => port >= 33434 && port < 33434 + 255 * 3;
/** Refused connection attempts that need not mean that a service is missing. */
const TRIES = 3;
const PLACES = /^_{0,2}(?:udp[46]?_lib_rcv|udp[46]_lib_rcv|udp_unicast_rcv_skb|udp6_unicast_rcv_skb|tcp_v[46]_rcv|ping_rcv|icmp_rcv|icmpv6_rcv|raw_rcv|dccp_v[46]_rcv|sctp_rcv)$/;

function judge(symptom: Parameters<Cause['judge']>[0], evidence: Evidence): Finding {
  if (symptom.kind === 'drop') return judgeDrop(symptom.drop, evidence);
  if (symptom.kind === 'call' && symptom.call.errno === 'ECONNREFUSED') return judgeRefused(symptom.call, evidence);
  return NOT_APPLICABLE;
}

function judgeDrop(drop: DropEvent, evidence: Evidence): Finding {
  const { ip, transport } = drop.packet;
  const place = drop.place.name ?? '';
  if (drop.reason.name !== 'NO_SOCKET' && !(drop.reason.name === 'NOT_SPECIFIED' && /^__udp[46]_lib_rcv$/.test(place))) return NOT_APPLICABLE;
  if (drop.reason.name === 'NOT_SPECIFIED' && !PLACES.test(place)) return NOT_APPLICABLE;
  if (transport?.kind === 'icmp' || transport?.kind === 'icmp6') return unclaimedIcmp(drop, evidence);
  if (ip === undefined || transport === undefined || (transport.kind !== 'udp' && transport.kind !== 'tcp')) {
    return found(drop, evidence, { identity: `protocol|${ip?.protocol ?? drop.protocol}`, severity: 'info', confidence: 0.6, who: `protocol ${ip?.protocol ?? '?'}`, why: 'no socket is open for it', remedies: [{ text: 'Nothing need be done unless a program here should receive it.', risk: 'low' }] });
  }
  if (transport.kind === 'tcp' && (transport.flags & TCP_FLAG.SYN) === 0) return NOT_APPLICABLE; // a connection that has gone: socket.tcp-closed
  const destination = plainAddress(ip.destination);
  const port = transport.destinationPort;
  const what = `${transport.kind} port ${port}`;

  const list = bothFamilies(evidence, drop.netns, transport.kind === 'udp' ? 'udp' : 'tcp-listen');
  const own = addresses(evidence, drop.netns);
  const tunnels = transport.kind === 'udp' ? udpTunnels(evidence, drop.netns) : [];
  const range = sysctlNumbers(evidence, drop.netns, 'net/ipv4/ip_local_port_range', 'any');

  const chatter = isChatter(drop.packet, (a) => !isUnavailable(own) && broadcastOf(own, a) !== undefined);
  if (chatter) {
    return found(drop, evidence, { identity: `chatter|${transport.kind}|${destination}|${port}`, severity: 'info', confidence: 0.9, who: `${what} at ${destination}`, why: 'it went to everyone on the link, and nobody here asked for it', remedies: [{ text: 'Nothing need be done: whoever wants such packets listens for them.', risk: 'low' }] });
  }
  if (isUnavailable(list)) {
    const bare = noneFound(drop, evidence, undefined, destination, port, transport.kind);
    return { ...bare, confidence: 0.85, evidence: [...bare.evidence, { source: 'sock_diag', text: unavailableText(list) }] };
  }
  const tunnel = isUnavailable(tunnels) ? undefined : wrongTunnel(tunnels, drop.packet, port);
  if (tunnel !== undefined) return otherTunnelPort(drop, evidence, tunnel, port, isUnavailable(own) ? [] : own);
  const low = isUnavailable(range) ? 32768 : (range[0] ?? 32768);
  if (transport.kind === 'udp' && port >= low && transport.sourcePort < low) {
    return found(drop, evidence, { identity: `late|${endpoint(plainAddress(ip.source), transport.sourcePort)}`, severity: 'info', confidence: 0.9, who: what, why: `the answer from ${endpoint(ip.source, transport.sourcePort)} came after the socket that had asked was closed`, remedies: [{ text: `Nothing need be done, unless answers are always late: then give the program that asks ${endpoint(ip.source, transport.sourcePort)} a longer time-out.`, risk: 'low' }] });
  }
  return noneFound(drop, evidence, list, destination, port, transport.kind);
}

/** Nobody has that port, or not on that address, family or device. */
function noneFound(drop: DropEvent, evidence: Evidence, list: readonly Socket[] | undefined, destination: string, port: number, kind: 'udp' | 'tcp'): Found {
  const near = list === undefined ? [] : listenersOn(list, port);
  const taking = near.find((s) => accepts(s, destination) && s.remotePort === 0);
  const other = near.find((s) => s !== taking);
  const source = drop.packet.ip?.source ?? '?';
  const where = netnsText(evidence, drop.netns);
  const at = endpoint(destination, port);
  const lines: EvidenceLine[] = [dropLine(evidence, drop)];
  if (list !== undefined) lines.push(near[0] === undefined ? { source: 'sock_diag', text: `no ${kind} socket on port ${port} in ${where}` } : socketLine(near[0]));
  const holder = other === undefined || other.inode === 0 ? undefined : holderOf(evidence, other.inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const name = process === undefined ? 'a program' : processText(process);
  const before = list === undefined || near.length > 0 ? undefined : bothFamilies(evidence, drop.netns, kind === 'udp' ? 'udp' : 'tcp-listen', 'before');
  const gone = before === undefined || isUnavailable(before) ? undefined : listenersOn(before, port).find((s) => accepts(s, destination));
  const answered = kind === 'tcp' ? 'The kernel answers with a reset, so that connect() fails with ECONNREFUSED.' : 'The kernel answers with an ICMP port unreachable, which a connected sender sees as ECONNREFUSED.';

  const chooser = taking === undefined || taking.ifindex !== 0 ? undefined : chooserOf(drop, evidence, taking);
  const remedies: Remedy[] = [];
  let why: string;
  let text = `nobody listens on ${kind} ${at}`;
  if (taking !== undefined && taking.ifindex !== 0 && taking.ifindex !== drop.ifindex) {
    why = `a socket on ${socketText(taking)} exists, but it is bound to another interface (index ${taking.ifindex}) than the one the packets came in by`;
    remedies.push({ text: `Bind the service to no interface, or to the one that the packets arrive on${drop.interface === undefined ? '' : ` (${drop.interface})`}.`, risk: 'low' });
  } else if (taking !== undefined && chooser !== undefined) {
    why = `${socketText(taking)} is open and would take them, but ${chooser.text} chooses the socket for each packet, and has refused these`;
    text = `${chooser.text} refuses ${kind} ${at}`;
    remedies.push(...chooser.remedies);
  } else if (taking !== undefined) {
    why = `when the packets came nobody listened there; now ${socketText(taking)} is open`;
    remedies.push({ text: 'Nothing need be done if the service was being restarted.', risk: 'low' });
  } else if (other !== undefined) {
    const loopback = /^127\.|^::1$/.test(plainAddress(other.local));
    const family = destination.includes(':') ? 'IPv6' : 'IPv4';
    const wrongFamily = destination.includes(':') !== plainAddress(other.local).includes(':') || (other.family === 'inet6' && other.v6only === true && family === 'IPv4');
    why = wrongFamily
      ? `${name} listens on ${socketText(other)} only, which takes no ${family} packets`
      : other.remotePort !== 0
        ? `${name} has a socket on port ${port}, but it is connected to ${endpoint(other.remote, other.remotePort)} and takes packets from there only`
        : `${name} listens on ${socketText(other)}, and not on ${destination}${loopback ? ': it can be reached from this host alone' : ''}`;
    const connected = !wrongFamily && other.remotePort !== 0;
    text = connected ? `${text}: the socket of ${process === undefined ? 'a program' : process.comm} there is connected to ${endpoint(other.remote, other.remotePort)}` : `${text}; ${process === undefined ? 'a socket' : process.comm} listens on ${socketText(other)}`;
    if (connected) remedies.push({ text: `Let ${name} receive on a socket that is not connected, or connect it to ${source}.`, risk: 'low' });
    else remedies.push({ text: `Let ${name} listen on ${at} or on all addresses (${family === 'IPv6' ? '::' : '0.0.0.0'}).`, risk: 'low' });
    if (!connected) remedies.push({ text: `Or let the sender ${source} use the address ${plainAddress(other.local)}.`, risk: 'low' });
  } else if (gone !== undefined) {
    why = `a service had that port until a short while ago, and has closed it`;
    remedies.push({ text: `Start the service on ${kind} port ${port} again.`, risk: 'low' });
  } else {
    why = list === undefined ? 'no program has a socket that takes them' : 'no program has that port open, on any address';
    remedies.push({ text: `Start the service that belongs on ${kind} port ${port}.`, risk: 'low' });
    remedies.push({ text: `Stop the sender ${source}, or give it the right port.`, risk: 'low' });
  }
  const flow = flowOf(drop.packet);
  return {
    outcome: 'found',
    // a second look, when the program has ended, knows less than the first
    confidence: chooser !== undefined ? 0.97 : taking !== undefined ? 0.9 : other !== undefined ? 0.97 : 0.96,
    severity: taking !== undefined && taking.ifindex === 0 && chooser === undefined ? 'info' : 'warning',
    // a port that is tried and refused at once is an answer, not a loss; who goes on trying waits for the service
    ...(near.length === 0 && gone === undefined && (kind === 'tcp' || isTracePort(port)) ? { few: TRIES } : {}),
    identity: `${kind}|${at}`,
    explanation: `Packets for ${kind} ${at}${flow === undefined ? '' : ` (${flowText(flow)})`} arrived in ${where}, and nobody takes them. ${sentence(why)} ${answered}`,
    culprit: { kind: 'socket', text, protocol: kind, address: destination, port, ...(process === undefined ? undefined : { pid: process.pid }) },
    evidence: lines,
    remedies,
  };
}

/** A BPF program that decides which socket gets a packet, and can say that none does: for the namespace (sk_lookup), or for sockets that share a port (sk_reuseport). */
function chooserOf(drop: DropEvent, evidence: Evidence, taking: Socket): { readonly text: string; readonly remedies: readonly Remedy[] } | undefined {
  const programs = bpfPrograms(evidence);
  if (isUnavailable(programs)) return undefined;
  const lookup = attachedAt(programs, 'netns', (at) => at.netns === drop.netns && at.attachType === 'sk_lookup')[0];
  if (lookup !== undefined) {
    return { text: `the BPF program ${programText(lookup.program)}, attached to the namespace as sk_lookup,`, remedies: [{ text: 'Detach the BPF link that holds the program there, or correct the program.', command: `bpftool link detach id ${lookup.at.link}`, risk: 'medium' }] };
  }
  const holder = taking.inode === 0 ? undefined : holderOf(evidence, taking.inode);
  const pid = holder === undefined || isUnavailable(holder) ? undefined : holder.pid;
  const shared = pid === undefined ? undefined : programs.find((p) => p.type === 'sk_reuseport' && p.heldBy.includes(pid));
  if (shared === undefined || holder === undefined || isUnavailable(holder)) return undefined;
  return { text: `the BPF program ${programText(shared)} (reuseport) of ${processText(holder)}`, remedies: [{ text: `Correct the program that ${holder.comm} sets on its SO_REUSEPORT sockets, or have it set none (SO_DETACH_REUSEPORT_BPF).`, risk: 'low' }] };
}

/** A tunnel device that would take the packet, had it been made with that port. */
function wrongTunnel(tunnels: readonly UdpTunnel[], packet: Packet, port: number): UdpTunnel | undefined {
  const inner = packet.inner;
  const tunnelPort = port === 4789 || port === 8472 || port === 6081;
  if (inner === undefined && !tunnelPort) return undefined;
  const others = tunnels.filter((t) => t.port !== port && (inner === undefined || inner.tunnel.toLowerCase() === t.kind));
  const source = packet.ip?.source;
  return others.find((t) => inner?.key !== undefined && t.id === inner.key) ?? others.find((t) => t.remote !== undefined && t.remote === source) ?? (tunnelPort && others.length === 1 ? others[0] : undefined);
}

function otherTunnelPort(drop: DropEvent, evidence: Evidence, tunnel: UdpTunnel, port: number, own: Parameters<typeof recreateWithPort>[4]): Found {
  const where = netnsText(evidence, drop.netns);
  const source = drop.packet.ip?.source ?? 'the peer';
  const name = `${tunnel.kind} device ${tunnel.device}${tunnel.id === undefined ? '' : ` (id ${tunnel.id})`}`;
  const command = recreateWithPort(evidence, drop.netns, tunnel, port, own);
  const undo = command === undefined ? undefined : recreateWithPort(evidence, drop.netns, tunnel, tunnel.port, own);
  return {
    outcome: 'found',
    confidence: 0.97,
    severity: 'warning',
    identity: `tunnel|${tunnel.device}|${port}`,
    explanation: `${source} sends ${tunnel.kind} packets to UDP port ${port}, and nobody takes them in ${where}. The ${name} there was made with UDP port ${tunnel.port}. Both ends must use one port: 4789 is the standard's, 8472 the old default of Linux.`,
    culprit: { kind: 'tunnel', text: `${name} receives on UDP port ${tunnel.port}, its peer ${source} sends to port ${port}`, device: tunnel.device, port: tunnel.port, wanted: port },
    evidence: [dropLine(evidence, drop), { source: 'ip -j -d link', text: `${tunnel.device}: ${tunnel.kind}${tunnel.id === undefined ? '' : ` id ${tunnel.id}`}${tunnel.remote === undefined ? '' : ` remote ${tunnel.remote}`} dstport ${tunnel.port}` }],
    remedies: [
      command === undefined
        ? { text: `Make ${tunnel.device} again with port ${port}; the port of a tunnel device cannot be changed while it exists.`, risk: 'medium' }
        : { text: `Make ${tunnel.device} again with the port that the peer uses (it cannot be changed while the device exists; routes over it must be set again).`, command, ...(undo === undefined ? undefined : { undo }), risk: 'medium' },
      { text: `Or make the peer's device at ${source} again with port ${tunnel.port}.`, risk: 'medium' },
    ],
  };
}

function unclaimedIcmp(drop: DropEvent, evidence: Evidence): Found {
  return found(drop, evidence, { identity: 'icmp', severity: 'info', confidence: 0.9, who: 'ICMP', why: 'every copy of an answer to ping that no raw or ping socket took ends like this, also when another socket had it', remedies: [{ text: 'Nothing need be done.', risk: 'low' }] });
}

function found(drop: DropEvent, evidence: Evidence, f: { identity: string; severity: Found['severity']; confidence: number; who: string; why: string; remedies: readonly Remedy[] }): Found {
  const flow = flowOf(drop.packet);
  return {
    outcome: 'found',
    confidence: f.confidence,
    severity: f.severity,
    identity: f.identity,
    explanation: `A packet for ${f.who}${flow === undefined ? '' : ` (${flowText(flow)})`} found no socket in ${netnsText(evidence, drop.netns)}. ${sentence(f.why)} This is normal.`,
    culprit: { kind: 'socket', text: `no socket for ${f.who}` },
    evidence: [dropLine(evidence, drop)],
    remedies: f.remedies,
  };
}

/** A call that was refused by the other side, or by this host's own closed port. */
function judgeRefused(call: CallEvent, evidence: Evidence): Finding {
  const to = splitEndpoint(call.destination ?? call.socket?.remote ?? '');
  const own = addresses(evidence, call.netns);
  const kind = call.socket?.protocol === 17 ? 'udp' : 'tcp';
  const list = bothFamilies(evidence, call.netns, kind === 'udp' ? 'udp' : 'tcp-listen');
  if (to?.port === undefined) return cannotTell('the call does not say where it went', 'the destination of the socket (drop probe with BPF)');
  const destination = plainAddress(to.address);
  const at = endpoint(destination, to.port);
  const local = isUnavailable(own) ? /^127\.|^::1$/.test(destination) : isOwn(own, destination);
  if (local && !isUnavailable(list)) {
    const taking = listenersOn(list, to.port).find((s) => accepts(s, destination));
    if (taking !== undefined && taking.remotePort === 0) return ruledOut(`${socketText(taking)} is open here`);
  }
  return {
    outcome: 'found',
    confidence: local ? 0.9 : 0.6,
    severity: 'warning',
    identity: `${kind}|${at}`,
    explanation: `${call.syscall} of ${call.task.comm} (pid ${call.task.pid}) failed with ECONNREFUSED: ${at} answered that nobody listens there. ${kind === 'tcp' ? 'A TCP reset' : 'An ICMP port unreachable'} came back for what was sent. ${local ? `The address is this host's own, and no ${kind} socket has that port.` : 'Either the service there does not run, or a firewall rule on the way rejects in its name.'}`,
    culprit: { kind: local ? 'socket' : 'peer', text: `nobody listens on ${kind} ${at}`, protocol: kind, address: destination, port: to.port },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Start the service on ${at}, or give ${call.task.comm} the right address and port.`, risk: 'low' }],
  };
}

/** A whole sentence of a clause. A program's name at its head stays as it is. */
const sentence = (text: string): string => (/^\S+ \(pid/.test(text) ? `The port is open elsewhere: ${text}.` : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`);

export const cause: Cause = {
  id,
  title: 'nobody listens on that port',
  needs: ['sockets', 'socket-owner', 'process', 'address', 'link', 'sysctl', 'bpf-programs'],
  knowledge: {
    what: 'A packet reached this host, passed routing and firewall, and no socket takes it: no program has the port open, or it has it open on another address, address family or interface only. UDP is answered with an ICMP port unreachable, a TCP connection attempt with a reset. The sender sees ECONNREFUSED, TCP at once, UDP at its next call and only on a connected socket. Tunnels inside the kernel (VXLAN, GENEVE) own UDP ports too, without any process.',
    signs: ['drop reason NO_SOCKET at __udp4_lib_rcv, __udp6_lib_rcv, tcp_v4_rcv or tcp_v6_rcv', 'ECONNREFUSED', 'UdpNoPorts in /proc/net/snmp', 'ICMP type 3 code 3', 'ping_rcv with NO_SOCKET is normal: every answered ping shows it', 'A BPF program can refuse what a socket would take: sk_lookup on the namespace, sk_reuseport on sockets that share a port'],
    fixes: ['ss -lntup shows who listens on what; start the service or let it listen on the right address', 'for a service on 127.0.0.1 or ::1, listen on 0.0.0.0 or ::', 'for VXLAN give both ends the same dstport (4789 is the standard, 8472 the old Linux default)'],
    functions: ['__udp4_lib_rcv', '__udp6_lib_rcv', 'tcp_v4_rcv', 'tcp_v6_rcv', 'ping_rcv', '__udp4_lib_lookup', '__inet_lookup_listener'],
    reasons: ['NO_SOCKET'],
    errnos: ['ECONNREFUSED'],
    versions: ['The reason NO_SOCKET exists since Linux 5.17; before that the place alone tells'],
    sources: ['net/ipv4/udp.c', 'net/ipv4/tcp_ipv4.c', 'RFC 1122 section 3.2.2.1', 'udp(7)'],
  },
  judge,
};
