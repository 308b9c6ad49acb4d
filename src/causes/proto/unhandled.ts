import { dropLine, isMulticastMac, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import { protocolName } from '../../model/flow.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';

/** Frames that switches and hosts send around, whether anybody listens or not (IEEE 802 Numbers). */
const CHATTER: Readonly<Record<number, string>> = { 0x88cc: 'LLDP', 0x8809: 'LACP', 0x88e7: 'PBB', 0x8899: 'loop detection', 0x9000: 'loopback test', 0x893a: 'IEEE 1905', 0x88e1: 'HomePlug', 0x8912: 'HomePlug', 0x886d: 'AFT' };
const NAMES: Readonly<Record<number, string>> = { 4: 'IPIP', 41: 'IPv6 in IPv4 (sit)', 47: 'GRE', 50: 'ESP', 51: 'AH', 89: 'OSPF', 103: 'PIM', 108: 'IPComp', 112: 'VRRP', 132: 'SCTP', 136: 'UDP-Lite', 33: 'DCCP', 115: 'L2TP', 2: 'IGMP' };
const MODULES: Readonly<Record<number, string>> = { 4: 'ipip', 41: 'sit', 47: 'ip_gre', 50: 'esp4', 51: 'ah4', 108: 'ipcomp', 132: 'sctp', 33: 'dccp_ipv4' };

export const cause: Cause = {
  id: 'proto.unhandled',
  title: 'nothing in the kernel handles that protocol',
  needs: [],
  knowledge: {
    what: 'The frame\'s ethertype, or the protocol number in its IP header, belongs to a protocol that this kernel has no handler for, and no program has a raw socket for it. The tunnel device, the module or the daemon is missing. Frames of switches (LLDP, STP, LACP) end so on every host, which is normal.',
    signs: ['UNHANDLED_PROTO at __netif_receive_skb_core', 'IP_NOPROTO at ip_protocol_deliver_rcu or ip6_protocol_deliver_rcu', 'ICMP protocol unreachable; senders get ENOPROTOOPT', 'Ip InUnknownProtos in /proc/net/snmp rises'],
    fixes: ['Configure the tunnel, load the module or start the daemon that speaks the protocol', 'Or stop whoever sends it'],
    functions: ['__netif_receive_skb_core', 'ip_protocol_deliver_rcu', 'ip6_protocol_deliver_rcu'],
    reasons: ['UNHANDLED_PROTO', 'IP_NOPROTO'],
    errnos: ['ENOPROTOOPT', 'EPROTONOSUPPORT'],
    versions: ['The reasons exist since 5.18'],
    sources: ['net/core/dev.c', 'net/ipv4/ip_input.c', 'IANA protocol numbers'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const place = symbolOf(drop);
    const { ip, ethernet } = drop.packet;
    const where = netnsText(evidence, drop.netns);
    const on = drop.interface ?? 'an interface';
    if (drop.reason.name === 'IP_NOPROTO' || (drop.reason.name === 'NOT_SPECIFIED' && /^ip6?_protocol_deliver_rcu$/.test(place))) {
      const protocol = ip?.protocol ?? 0;
      const name = NAMES[protocol] ?? protocolName(protocol);
      const label = /^\d+$/.test(name) ? `IP protocol ${protocol}` : `${name} (IP protocol ${protocol})`;
      const module = MODULES[protocol];
      return {
        outcome: 'found', confidence: drop.reason.name === 'IP_NOPROTO' ? 0.95 : 0.7, severity: 'warning', identity: `ip|${protocol}`,
        explanation: `Packets of ${label} from ${ip?.source ?? '?'} reached ${where} on ${on}, and nothing there handles that protocol. There is neither a kernel handler nor a raw socket for it. The sender was told by ICMP "protocol unreachable".`,
        culprit: { kind: 'peer', text: `${label} from ${ip?.source ?? '?'}: protocol ${protocol} has no handler in ${where}`, protocol, address: ip?.source },
        evidence: [dropLine(evidence, drop)],
        remedies: [
          ...(module === undefined ? [] : [{ text: `If ${where} is to speak ${name}: load the module and configure the tunnel or service.`, command: `modprobe ${module}`, undo: `modprobe -r ${module}`, risk: 'medium' as const }]),
          { text: `${module === undefined ? `Start the program that speaks ${label}` : 'Or'}${module === undefined ? ', or' : ''} stop ${ip?.source ?? 'the sender'} from sending it.`, risk: 'low' as const },
        ],
      };
    }
    if (drop.reason.name !== 'UNHANDLED_PROTO' && !(drop.reason.name === 'NOT_SPECIFIED' && place === '__netif_receive_skb_core' && drop.protocol !== 0x0800 && drop.protocol !== 0x86dd && drop.protocol !== 0x0806)) return NOT_APPLICABLE;
    const type = drop.protocol;
    const chatter = CHATTER[type] ?? (ethernet !== undefined && isMulticastMac(ethernet.destination) ? 'a group frame' : undefined);
    const label = `ethertype 0x${type.toString(16).padStart(4, '0')}`;
    return {
      outcome: 'found', confidence: drop.reason.name === 'UNHANDLED_PROTO' ? 0.93 : 0.7, severity: chatter === undefined ? 'warning' : 'info', identity: `ethertype|${type}|${on}`,
      explanation: `Frames of ${label}${CHATTER[type] === undefined ? '' : ` (${CHATTER[type]})`} reached ${on} in ${where}${ethernet === undefined ? '' : ` from ${ethernet.source}`}, and nothing there handles that protocol. ${chatter === undefined ? 'A VLAN or tunnel device, a module or a daemon for it is missing. The sender is not told.' : 'Such frames are sent around whether anybody listens or not. That is normal.'}`,
      culprit: { kind: 'peer', text: `${label} on ${on}${ethernet === undefined ? '' : ` from ${ethernet.source}`}`, protocol: type, mac: ethernet?.source, interface: drop.interface },
      evidence: [dropLine(evidence, drop)],
      remedies: [{ text: chatter === undefined ? `Configure what handles ${label} on ${on}, or stop the sender.` : 'Nothing need be done.', risk: 'low' }],
    };
  },
};
