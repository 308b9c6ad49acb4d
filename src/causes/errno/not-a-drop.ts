import { endpoint, splitEndpoint } from '../../base/inet.ts';
import { shellQuote } from '../../base/text.ts';
import { inNetns, iproute, netnsText } from '../../evidence/netns.ts';
import { addresses, isOwn } from '../../evidence/socket/addresses.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import { lastSysctl } from '../../evidence/network/sysctl.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding, type Found } from '../../model/finding.ts';
import type { InterfaceAddress } from '../../model/network.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { ERRNOS, meaningOf } from './knowledge.ts';

/** EPERM and EACCES have causes of their own; where none fits, `unknown` says so. */
const OWN = new Set(['EPERM', 'EACCES']);

/** bind() to an address that no interface of the namespace has (bind(2), ip(7) ip_nonlocal_bind). */
function bindElsewhere(call: CallEvent, evidence: Evidence): Finding {
  const wanted = splitEndpoint(call.destination ?? call.socket?.local ?? '');
  const own = addresses(evidence, call.netns);
  const where = netnsText(evidence, call.netns);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const at = wanted === undefined ? 'an address' : endpoint(plainAddress(wanted.address), wanted.port);
  const held = wanted === undefined || isUnavailable(own) ? undefined : own.find((a) => a.address === plainAddress(wanted.address));
  const unusable = held?.flags.find((f) => f === 'tentative' || f === 'dadfailed');
  if (held !== undefined && unusable !== undefined) return tentative(call, evidence, at, held, unusable);
  if (wanted !== undefined && !isUnavailable(own) && isOwn(own, plainAddress(wanted.address))) return ruledOut(`${wanted.address} is an address of ${where}`);
  return {
    outcome: 'found', confidence: wanted === undefined || isUnavailable(own) ? 0.6 : 0.95, severity: 'warning', identity: `bind|${at}`,
    explanation: `${who} wanted to bind to ${at} in ${where}, and got EADDRNOTAVAIL. No interface there has that address (an IPv6 address that is still tentative counts as absent). Nothing can be received or sent by the socket.`,
    culprit: { kind: 'process', text: `${who} binds to ${at}, which is no address of ${where}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Correct the address in the configuration of ${call.task.comm}, or add it to an interface (ip address add); net.ipv4.ip_nonlocal_bind allows foreign ones.`, risk: 'low' }],
  };
}

/** bind() to an IPv6 address of its own whose duplicate address detection runs or has failed (RFC 4862). */
function tentative(call: CallEvent, evidence: Evidence, at: string, held: InterfaceAddress, state: string): Finding {
  const where = netnsText(evidence, call.netns);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const spec = `${held.address}/${held.prefixLength} dev ${shellQuote(held.device)}`;
  return {
    outcome: 'found', confidence: 0.96, severity: 'warning', identity: `bind|${at}`,
    explanation: `${who} wanted to bind to ${at} in ${where}, and got EADDRNOTAVAIL. The address is there, on ${held.device}, but it is ${state}: ${state === 'dadfailed' ? 'another host on the link has it, too (duplicate address detection failed)' : 'duplicate address detection still runs'}. Until that is over nothing may use it.`,
    culprit: { kind: 'interface', text: `address ${held.address} on ${held.device} in ${where} is ${state}`, interface: held.device, address: held.address, state },
    evidence: [callLine(evidence, call), { source: 'ip address', text: `${held.address}/${held.prefixLength} on ${held.device}: ${held.flags.join(', ')}` }],
    remedies: [
      { text: state === 'dadfailed' ? 'Give one of the two hosts another address; or, once the other one is gone, add it again without detection.' : `Wait until detection is over before ${call.task.comm} starts, or add the address without it.`, command: `${iproute(evidence, call.netns, 'ip', `-6 addr del ${spec}`)} && ${iproute(evidence, call.netns, 'ip', `-6 addr add ${spec} nodad`)}`, undo: `${iproute(evidence, call.netns, 'ip', `-6 addr del ${spec}`)} && ${iproute(evidence, call.netns, 'ip', `-6 addr add ${spec}`)}`, risk: 'medium' },
      { text: 'Or have the program set IPV6_FREEBIND (net.ipv6.ip_nonlocal_bind=1).', risk: 'low' },
    ],
  };
}

/** setsockopt() that a missing device, group or limit refused: what the option and the sysctl behind it are (include/uapi/linux/in.h, in6.h, asm-generic/socket.h). */
function option(call: CallEvent, evidence: Evidence): Finding | undefined {
  const level = Number(call.args[1] ?? -1n), name = Number(call.args[2] ?? -1n);
  const joins = (level === 0 && [35, 39, 42, 46].includes(name)) || (level === 41 && [20, 42, 46].includes(name));
  const binds = level === 1 && name === 25;
  if (!joins && !binds) return undefined;
  const where = netnsText(evidence, call.netns);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const words = binds ? 'SO_BINDTODEVICE' : level === 0 ? 'IP_ADD_MEMBERSHIP' : 'IPV6_JOIN_GROUP';
  const found = (text: string, culprit: Found['culprit'], remedies: Found['remedies']): Finding => ({
    outcome: 'found', confidence: 0.95, severity: 'warning', identity: `${call.task.comm}|${words}|${call.errno}`,
    explanation: `setsockopt(${words}) of ${who} failed with ${call.errno} in ${where}. ${text}`,
    culprit, evidence: [callLine(evidence, call)], remedies,
  });
  const process = (text: string): Found['culprit'] => ({ kind: 'process', text: `${words} of ${who}: ${call.errno}, ${text}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno });
  if (binds && call.errno === 'ENODEV') return found('There is no interface of the name that it asks for, so it is bound to none and sends and receives by any, or gives up.', process('no such interface'), [{ text: `Create or rename the interface, start ${call.task.comm} after it is there, or correct the name in its configuration (ip link).`, risk: 'low' }]);
  if (!joins) return undefined;
  if (call.errno === 'ENODEV') return found('No interface fits: the address or index that it names is on none that is up, and no route leads to the group. It does not receive the group.', process('no interface for the group'), [{ text: `Let ${call.task.comm} name an interface that is up, or give the group a route: ip route add 224.0.0.0/4 dev DEV.`, risk: 'low' }]);
  if (call.errno === 'ENOBUFS') {
    const key = 'net.ipv4.igmp_max_memberships';
    const limit = lastSysctl(evidence, call.netns, 'net/ipv4/igmp_max_memberships');
    const now = limit === undefined ? '' : ` = ${limit}`;
    return found(`One socket may be in no more groups than ${key}${now} allows. It does not receive the group.`, { kind: 'sysctl', text: `${key}${now} in ${where}: ${who} wants to join more groups with one socket`, name: key, value: limit, pid: call.task.pid }, [
      { text: 'Allow more groups for each socket.', command: inNetns(evidence, call.netns, `sysctl -w ${key}=${Math.max(256, (limit ?? 20) * 8)}`), ...(limit === undefined ? {} : { undo: inNetns(evidence, call.netns, `sysctl -w ${key}=${limit}`) }), risk: 'low' },
      { text: `Or let ${call.task.comm} use several sockets.`, risk: 'low' },
    ]);
  }
  return undefined;
}

/** EINVAL for a packet from a loopback address to another host (ip_route_output_key_hash_rcu). */
function loopbackSource(call: CallEvent, evidence: Evidence): Finding | undefined {
  const from = splitEndpoint(call.socket?.local ?? ''), to = splitEndpoint(call.destination ?? call.socket?.remote ?? '');
  if (from === undefined || to === undefined || !plainAddress(from.address).startsWith('127.') || plainAddress(to.address).startsWith('127.') || to.address.includes(':') && !to.address.startsWith('::ffff:')) return undefined;
  const own = addresses(evidence, call.netns);
  if (!isUnavailable(own) && isOwn(own, plainAddress(to.address))) return undefined;
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const source = plainAddress(from.address);
  return {
    outcome: 'found', confidence: 0.9, severity: 'warning', identity: `loopback source|${call.task.comm}`,
    explanation: `${call.syscall} of ${who} to ${endpoint(plainAddress(to.address), to.port)} failed with ${call.errno} in ${netnsText(evidence, call.netns)}. Its socket is bound to ${source}, an address of the loopback interface, and such a packet may not leave the host. No packet was made.`,
    culprit: { kind: 'process', text: `${who} sends from ${source} (bound to the loopback address) to another host`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Let ${call.task.comm} bind to an address of an interface, or to none (0.0.0.0).`, risk: 'low' }],
  };
}

/** ENETUNREACH for an IPv4 address in IPv6 form: the socket is for IPv6 alone (udpv6_sendmsg, tcp_v6_connect: IPV6_V6ONLY). */
function mappedDestination(call: CallEvent, evidence: Evidence): Finding | undefined {
  const to = splitEndpoint(call.destination ?? '');
  if (to === undefined || !/^::ffff:\d+\./i.test(to.address)) return undefined;
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const at = endpoint(plainAddress(to.address), to.port);
  return {
    outcome: 'found', confidence: 0.8, severity: 'warning', identity: `mapped|${call.task.comm}`,
    explanation: `${call.syscall} of ${who} to ${to.address} failed with ${call.errno} in ${netnsText(evidence, call.netns)}. That is the IPv4 address ${at} in IPv6 form, and a socket with IPV6_V6ONLY set does not speak IPv4: for it such an address has no route. No packet was made.`,
    culprit: { kind: 'process', text: `${who} sends to ${at} by an IPv6 socket that is IPV6_V6ONLY (v6only)`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Let ${call.task.comm} use an IPv4 socket for IPv4 addresses, or clear IPV6_V6ONLY before it binds (net.ipv6.bindv6only is only the default).`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'errno.not-a-drop',
  title: 'the call failed before a packet was made',
  needs: ['address', 'sysctl'],
  knowledge: {
    what: 'A socket call failed, no packet was dropped with it, and no narrower cause fits. The errno itself says what the kernel objected to.',
    signs: ['an errno and no drop event'],
    fixes: ['what the errno says'],
    functions: [],
    reasons: [],
    errnos: Object.keys(ERRNOS).filter((e) => !OWN.has(e)),
    versions: [],
    sources: ['errno(3)', 'man 2 of the call'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'call' || OWN.has(symptom.call.errno)) return NOT_APPLICABLE;
    const { call } = symptom;
    if (call.syscall === 'bind' && call.errno === 'EADDRNOTAVAIL') return bindElsewhere(call, evidence);
    const narrow = call.syscall === 'setsockopt' ? option(call, evidence) : call.errno === 'EINVAL' ? loopbackSource(call, evidence) : call.errno === 'ENETUNREACH' ? mappedDestination(call, evidence) : undefined;
    if (narrow !== undefined) return narrow;
    const meaning = meaningOf(call.errno, call.syscall);
    if (meaning === undefined) return NOT_APPLICABLE;
    const to = call.destination ?? call.socket?.remote;
    const who = `${call.task.comm} (pid ${call.task.pid})`;
    return {
      outcome: 'found',
      confidence: meaning.normal ? 0.45 : 0.3,
      severity: meaning.normal ? 'info' : 'warning',
      identity: `${call.task.comm}|${call.syscall}|${call.errno}|${to ?? ''}`,
      explanation: `${call.syscall} of ${who}${to === undefined ? '' : ` to ${to}`} failed with ${call.errno} in ${netnsText(evidence, call.netns)}. ${meaning.text} No packet was dropped with the call.`,
      culprit: { kind: 'process', text: `${call.syscall} of ${who}: ${call.errno}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
      evidence: [callLine(evidence, call)],
      remedies: [{ text: meaning.normal ? meaning.advice : `Look at: ${meaning.advice}.`, risk: 'low' }],
    };
  },
};
