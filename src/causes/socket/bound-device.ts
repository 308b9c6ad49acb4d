import { netnsText } from '../../evidence/netns.ts';
import { addresses, isOwn } from '../../evidence/socket/addresses.ts';
import { isChatter, plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { bothFamilies } from '../../evidence/socket/table.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/**
 * A socket bound to the loopback device (SO_BINDTODEVICE, IP_UNICAST_IF, a VRF gone wrong) sends to an address that is
 * not this host's: the kernel takes the address to be on that link, and the packet comes back in from lo.
 */
function judge(drop: DropEvent, evidence: Evidence): Finding {
  const { ip, transport } = drop.packet;
  if (drop.interface !== 'lo' || ip === undefined || transport === undefined || !('sourcePort' in transport) || isChatter(drop.packet)) return NOT_APPLICABLE;
  const destination = plainAddress(ip.destination);
  const own = addresses(evidence, drop.netns);
  const list = transport.kind === 'udp' || transport.kind === 'tcp' ? bothFamilies(evidence, drop.netns, transport.kind) : [];
  if (isUnavailable(own)) return own.unavailable === 'pending' ? cannotTell(unavailableText(own), 'the addresses of the namespace') : NOT_APPLICABLE;
  if (isOwn(own, destination) || own.some((a) => a.device === 'lo' && a.prefixLength < 32 && a.family === 4 && destination.startsWith(a.address.split('.', 1)[0] + '.') && a.address.startsWith('127.'))) return ruledOut(`${destination} is an address of this namespace`);
  const sockets = isUnavailable(list) ? [] : list;
  const sender = sockets.find((s) => s.localPort === transport.sourcePort && s.ifindex === drop.ifindex) ?? sockets.find((s) => s.localPort === transport.sourcePort);
  const inode = drop.socket?.inode !== undefined && drop.socket.inode !== 0 ? drop.socket.inode : sender?.inode;
  const holder = inode === undefined || inode === 0 ? undefined : holderOf(evidence, inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const who = process === undefined ? `the socket on local port ${transport.sourcePort}` : processText(process);
  const bound = sender !== undefined && sender.ifindex !== 0;
  return {
    outcome: 'found',
    confidence: bound ? 0.98 : 0.8,
    severity: 'warning',
    identity: `lo|${destination}|${process?.comm ?? transport.sourcePort}`,
    explanation: `${process === undefined ? 'A process' : processName(process)} in ${netnsText(evidence, drop.netns)} sends to ${destination} over the loopback interface lo, where that address is not. ${bound ? 'Its socket is bound to lo (SO_BINDTODEVICE)' : 'A socket that is bound to lo (SO_BINDTODEVICE), or a route over lo, does so'}, so the packets never leave this host. They come back in from lo and are dropped.`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text: `${who} is bound to interface lo (SO_BINDTODEVICE) and sends to ${destination}`, interface: 'lo', option: 'SO_BINDTODEVICE', ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }) },
    evidence: [dropLine(evidence, drop), ...(sender === undefined ? [] : [socketLine(sender), { source: 'sock_diag', text: sender.ifindex === 0 ? 'the socket is bound to no interface' : `the socket is bound to interface index ${sender.ifindex}` }])],
    remedies: [{ text: `Let ${process?.comm ?? 'the program'} bind to the interface that leads to ${destination}, or to none (its option for an interface or device, SO_BINDTODEVICE).`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'socket.bound-device',
  title: 'the socket is bound to the wrong interface',
  needs: ['address', 'sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'A socket that is bound to an interface (SO_BINDTODEVICE) sends over that interface only, whatever the routes say: where the interface has no route to the destination, the kernel takes it to be directly on that link. Bound to lo, packets for other hosts come straight back and are dropped.',
    signs: ['drops on lo for an address that is not this host\'s', 'ss -e shows a socket as ADDRESS%lo:PORT', 'the same program works without its interface option'],
    fixes: ['the interface option of the program'],
    functions: ['ip_route_output_key_hash_rcu', 'sk_setsockopt'],
    reasons: ['NO_SOCKET', 'NOT_SPECIFIED'],
    errnos: [],
    versions: [],
    sources: ['net/ipv4/route.c', 'socket(7)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};
