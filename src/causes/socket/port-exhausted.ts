import { endpoint, splitEndpoint } from '../../base/inet.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import { addresses, isOwn } from '../../evidence/socket/addresses.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import { sysctlNumbers } from '../../evidence/network/sysctl.ts';
import { bothFamilies } from '../../evidence/socket/table.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const RANGE = 'net/ipv4/ip_local_port_range';

function judge(call: CallEvent, evidence: Evidence): Finding {
  const automatic = (call.errno === 'EADDRNOTAVAIL' && call.syscall !== 'bind') || (call.errno === 'EAGAIN' && /^(?:connect|send)/.test(call.syscall)) || (call.errno === 'EADDRINUSE' && /^(?:bind|listen|connect)$/.test(call.syscall));
  if (!automatic) return NOT_APPLICABLE;
  const to = splitEndpoint(call.destination ?? call.socket?.remote ?? '');
  if (call.syscall === 'bind' && to?.port !== undefined && to.port !== 0) return NOT_APPLICABLE; // it asked for one port: socket.address-in-use
  const tcp = call.socket === undefined ? call.syscall === 'connect' || call.syscall === 'listen' : call.socket.protocol === 6;
  const range = sysctlNumbers(evidence, call.netns, RANGE, 'any');
  const reserved = evidence.answer({ topic: 'sysctl', netns: call.netns, argument: 'net/ipv4/ip_local_reserved_ports' });
  const list = bothFamilies(evidence, call.netns, tcp ? 'tcp' : 'udp');
  const own = addresses(evidence, call.netns);
  const process = identityOf(evidence, call.task.pid, call.task.comm);
  if (isUnavailable(range)) return cannotTell(unavailableText(range), 'net.ipv4.ip_local_port_range');
  if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the listing of sockets');
  const [low = 32768, high = 60999] = range;
  const size = high - low + 1 - (isUnavailable(reserved) ? 0 : countReserved(reserved.body, low, high));
  // connect() goes through the ports in pairs: the last of an odd number is not always tried (__inet_hash_connect)
  const usable = tcp && call.syscall === 'connect' && size > 1 ? size - (size % 2) : size;
  const taken = new Set<number>();
  for (const s of list) {
    if (s.localPort < low || s.localPort > high) continue;
    // connect() may share a local port between different destinations; bind() and UDP may not
    if (tcp && call.syscall === 'connect' && to?.port !== undefined && s.remotePort !== 0 && (s.remotePort !== to.port || plainAddress(s.remote) !== plainAddress(to.address))) continue;
    taken.add(s.localPort);
  }
  const at = to === undefined ? 'any destination' : endpoint(plainAddress(to.address), to.port);
  if (taken.size < usable * 0.9) {
    if (call.errno === 'EAGAIN') return NOT_APPLICABLE; // a call that would have had to wait, the common meaning
    return ruledOut(`${taken.size} of ${size} local ports are taken for ${at}`);
  }
  const waiting = list.filter((s) => s.state === 'time-wait' && taken.has(s.localPort)).length;
  const holders = new Map<string, number>();
  for (const s of list) if (s.remotePort !== 0 && taken.has(s.localPort)) holders.set(endpoint(plainAddress(s.remote), s.remotePort), (holders.get(endpoint(plainAddress(s.remote), s.remotePort)) ?? 0) + 1);
  const most = [...holders].sort((a, b) => b[1] - a[1])[0];
  const who = isUnavailable(process) ? `${call.task.comm} (pid ${call.task.pid})` : processText(process);
  const where = netnsText(evidence, call.netns);
  const wider = low > 1024 || high < 65535;
  return {
    outcome: 'found',
    confidence: 0.96,
    severity: 'warning',
    identity: `${tcp ? 'tcp' : 'udp'}|${at}`,
    explanation: `${call.syscall} of ${call.task.comm} (pid ${call.task.pid}) to ${at} failed with ${call.errno} in ${where}: every local port it might use is taken. net.ipv4.ip_local_port_range = ${low} ${high} gives ${size} ports, and ${taken.size} of them are in use${tcp && call.syscall === 'connect' ? ` for this destination` : ''}${waiting > 0 ? `, ${waiting} in TIME_WAIT` : ''}. No packet was lost: the call failed before one was made.`,
    culprit: { kind: 'sysctl', text: `net.ipv4.ip_local_port_range = ${low} ${high} in ${where}: ${taken.size} of ${size} ports are taken${most === undefined ? '' : `, ${most[1]} of them by connections to ${most[0]}`}`, sysctl: 'net.ipv4.ip_local_port_range', value: `${low} ${high}`, taken: taken.size, pid: call.task.pid },
    evidence: [callLine(evidence, call), { source: 'sysctl', text: `net.ipv4.ip_local_port_range = ${low} ${high}` }, { source: 'sock_diag', text: `${taken.size} local ports of the range in use${waiting > 0 ? `, ${waiting} in TIME_WAIT` : ''}; ${who}` }],
    remedies: [
      ...(wider ? [{ text: 'Widen the range of local ports.', command: inNetns(evidence, call.netns, 'sysctl -w net.ipv4.ip_local_port_range="1024 65535"', call.task.pid), undo: inNetns(evidence, call.netns, `sysctl -w net.ipv4.ip_local_port_range="${low} ${high}"`, call.task.pid), risk: 'low' as const }] : []),
      { text: `Let ${call.task.comm} keep connections and use them again, or close what it does not use.`, risk: 'low' },
      ...(waiting > taken.size / 2 ? [{ text: 'Let new connections take over ports in TIME_WAIT (needs TCP time stamps on both sides).', command: inNetns(evidence, call.netns, 'sysctl -w net.ipv4.tcp_tw_reuse=1', call.task.pid), risk: 'medium' as const }] : []),
      { text: isUnavailable(own) || to === undefined || !isOwn(own, to.address) ? 'Or give this host more addresses to send from: each has ports of its own.' : 'Or use more addresses.', risk: 'medium' },
    ],
  };
}

/** How many ports of `3000,4000-4010` lie in the range. */
function countReserved(body: string | Uint8Array, low: number, high: number): number {
  const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
  let n = 0;
  for (const part of text.replace(/^.*=/, '').trim().split(',')) {
    const [a, b] = part.split('-').map(Number);
    if (a === undefined || !Number.isInteger(a) || part === '') continue;
    n += Math.max(0, Math.min(b ?? a, high) - Math.max(a, low) + 1);
  }
  return n;
}

export const cause: Cause = {
  id: 'socket.port-exhausted',
  title: 'no local port was left',
  needs: ['sockets', 'sysctl', 'address', 'process'],
  knowledge: {
    what: 'A program that connects or sends without choosing a local port is given one from net.ipv4.ip_local_port_range. For TCP a port may serve several connections as long as their destinations differ; a bound socket and UDP take it whole. When none is left the call fails with EADDRNOTAVAIL (connect), EADDRINUSE (bind to port 0) or EAGAIN (UDP). Connections in TIME_WAIT keep their port for a minute.',
    signs: ['EADDRNOTAVAIL from connect, "Cannot assign requested address"', 'thousands of sockets to one destination in ss -tan', 'no drop event'],
    fixes: ['a wider net.ipv4.ip_local_port_range', 'connections that are used again', 'more source addresses', 'IP_BIND_ADDRESS_NO_PORT for programs that bind an address before they connect'],
    functions: ['__inet_hash_connect', 'inet_csk_get_port', 'udp_lib_get_port', 'inet_autobind'],
    reasons: [],
    errnos: ['EADDRNOTAVAIL', 'EADDRINUSE', 'EAGAIN'],
    versions: ['Since Linux 4.2 connect() takes ports of one parity first, so it slows down before it fails'],
    sources: ['net/ipv4/inet_hashtables.c', 'ip(7)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judge(symptom.call, evidence) : NOT_APPLICABLE),
};
