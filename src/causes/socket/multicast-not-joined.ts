import { incomingDevice } from '../../evidence/network/packet.ts';
import { groupsJoined } from '../../evidence/network/groups.ts';
import { symbolOf } from '../../evidence/network/words.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import { isMulticastAddress } from '../../base/inet.ts';
import { dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { bothFamilies, socketText } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/** Services that announce themselves to everyone, on every network: mDNS, SSDP, LLMNR, WS-Discovery. A member of one interface does not miss those of another. */
const ANNOUNCED = new Set([5353, 1900, 5355, 3702]);

export const cause: Cause = {
  id: 'socket.multicast-not-joined',
  title: 'the program has not joined the group on that interface',
  needs: ['sockets', 'socket-owner', 'process', 'proc', 'link'],
  knowledge: {
    what: 'A program waits for a multicast group, and the packets of that group arrive on another interface than the one on which it has joined. Membership counts for each interface. A program that names none joins where the route to the group leads, which after a change of routes or on a host with several networks may be the wrong one. Others bind to the group\'s address and forget to join at all.',
    signs: ['Group packets are dropped though a program listens on their port', '/proc/net/igmp and `ip maddr` show the group on another interface', 'NOT_SPECIFIED at ip_rcv_finish_core or ip_route_input for the group'],
    fixes: ['Have the program name the interface (imr_interface, imr_ifindex), often an option of its own', 'Or give the group a route by the right interface before the program starts: `ip route add 239.1.2.3/32 dev DEV`'],
    functions: ['ip_mc_join_group', 'ip_check_mc_rcu', 'ip_mc_find_dev'],
    reasons: ['NOT_SPECIFIED'],
    errnos: [],
    versions: [],
    sources: ['net/ipv4/igmp.c', 'net/ipv4/route.c', 'ip(7) IP_ADD_MEMBERSHIP'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { ip, transport } = drop.packet;
    if (ip === undefined || transport?.kind !== 'udp' || !isMulticastAddress(ip.destination) || ANNOUNCED.has(transport.destinationPort) || /^(nf_|nft_)/.test(symbolOf(drop))) return NOT_APPLICABLE;
    const port = transport.destinationPort, group = ip.destination;
    const list = bothFamilies(evidence, drop.netns, 'udp');
    if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the UDP sockets');
    const listener = list.find((s) => s.localPort === port && s.remotePort === 0 && s.local === group) ?? list.find((s) => s.localPort === port && s.remotePort === 0 && (s.local === group || s.local === '0.0.0.0' || s.local === '::'));
    if (listener === undefined) return ruledOut(`nobody waits on UDP port ${port}`);
    // who binds to the group's own address wants nothing else
    const bound = listener.local === group;
    if (ip.version === 6 && !(bound && symbolOf(drop) === 'ip6_mc_input')) return ruledOut(`no socket is bound to ${group} itself`);
    const found = incomingDevice(evidence, drop) ?? drop.interface;
    if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
    const joined = ip.version === 6 ? [] : groupsJoined(evidence, drop.netns);
    if (isUnavailable(joined)) return cannotTell(unavailableText(joined), '/proc/net/igmp');
    const on = joined.filter((m) => m.group === group).map((m) => m.device);
    if (found === undefined || on.includes(found)) return ruledOut(`${found ?? 'the interface'} is in the group ${group}`);
    const others = on.filter((d) => d !== 'lo');
    if (others.length === 0 && !bound) return ruledOut(`no interface is in the group ${group}`);
    const holder = listener.inode === 0 ? undefined : holderOf(evidence, listener.inode);
    if (holder !== undefined && isUnavailable(holder) && holder.unavailable === 'pending') return cannotTell(unavailableText(holder), 'the process that holds the socket');
    const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
    const name = process === undefined ? 'a program' : processText(process);
    const where = netnsText(evidence, drop.netns);
    return {
      outcome: 'found',
      confidence: 0.95,
      severity: 'warning',
      identity: `${group}|${port}|${found}`,
      explanation: `Packets for the group ${group}:${port} from ${ip.source} arrive in ${where} on ${found}, where nobody has joined that group, and are dropped. ${name} waits for them on port ${port}${bound ? ', bound to the group itself' : ''}, but ${others.length === 0 ? `has not joined it on ${found}: to bind to a group is not to join it` : `the group was joined on ${others.join(', ')} only`}. Membership counts for each interface.`,
      culprit: { kind: process === undefined ? 'socket' : 'process', text: others.length === 0 ? `${name} is bound to ${group}, but has not joined it on ${found}` : `${name} has joined ${group} on ${others.join(', ')}, not on ${found}`, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), socket: socketText(listener), group, interface: found },
      evidence: [dropLine(evidence, drop), socketLine(listener), ...(ip.version === 6 ? [] : [{ source: '/proc/net/igmp', text: others.length === 0 ? `no interface is in ${group}` : `${group} is joined on ${others.join(', ')}` }])],
      remedies: [
        { text: `Have ${process?.comm ?? 'the program'} join ${group} on ${found} (an option for the interface or its address).`, risk: 'low' },
        ...(others.length === 0 ? [] : [{ text: `Where it names no interface: lead the route of the group to ${found}, then restart ${process?.comm ?? 'the program'}.`, command: inNetns(evidence, drop.netns, `ip route replace ${group}/32 dev ${shellQuote(found)}`), undo: inNetns(evidence, drop.netns, `ip route del ${group}/32 dev ${shellQuote(found)}`), risk: 'medium' as const }]),
      ],
    };
  },
};
