import { incomingDevice } from '../../evidence/network/packet.ts';
import { ipv4Conf, ipv6Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const LSRR = 131, SSRR = 137; // IPOPT_LSRR, IPOPT_SSRR (RFC 791)

export const cause: Cause = {
  id: 'ip.source-route-refused',
  title: 'source-routed packets are refused',
  needs: ['sysctl', 'link'],
  knowledge: {
    what: 'The packet carries a source-route option: its sender prescribes the way. Hosts refuse that unless accept_source_route is on both for all interfaces and for the one it came in on, since it lets a stranger go around filters.',
    signs: ['NOT_SPECIFIED (or IP_INHDR) at ip_rcv_finish_core, and the packet has IP option 131 or 137', 'IPv6: a drop in ipv6_rthdr_rcv'],
    fixes: ['Stop sending source-routed packets', 'Or `sysctl -w net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.IFACE.accept_source_route=1`'],
    functions: ['ip_rcv_options', 'ip_options_rcv_srr', 'ip_rcv_finish_core', 'ipv6_rthdr_rcv'],
    reasons: ['NOT_SPECIFIED', 'IP_INHDR'],
    errnos: [],
    versions: ['No reason of its own up to 6.18'],
    sources: ['net/ipv4/ip_input.c ip_rcv_options', 'RFC 791', 'RFC 5095', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { ip } = drop.packet;
    const symbol = symbolOf(drop);
    const six = symbol === 'ipv6_rthdr_rcv';
    if (ip === undefined || !(six || ((symbol === 'ip_rcv_finish_core' || symbol === 'ip_rcv_options' || symbol === 'ip_forward') && (ip.options?.includes(LSRR) === true || ip.options?.includes(SSRR) === true)))) return NOT_APPLICABLE;
    const found = incomingDevice(evidence, drop) ?? drop.interface;
    if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
    const device = found ?? '?';
    const conf = six ? ipv6Conf(evidence, drop.netns, 'accept_source_route', device) : ipv4Conf(evidence, drop.netns, 'accept_source_route', device);
    if (isUnavailable(conf)) return cannotTell(unavailableText(conf), 'accept_source_route of the interface');
    const accepted = six ? conf.all >= 0 && conf.device >= 0 : conf.effective !== 0;
    const where = netnsText(evidence, drop.netns);
    if (accepted && six) {
      return {
        outcome: 'found', confidence: 0.9, severity: 'warning', identity: `routing header|${ip.source}`,
        explanation: `Packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where} with a routing header of a type that the kernel does not take there. Type 0 is forbidden (RFC 5095), segment routing (type 4) has to be switched on for the interface, others are unknown. The sender is told by ICMPv6 parameter problem.`,
        culprit: { kind: 'peer', text: `${ip.source} sends IPv6 routing headers that ${where} does not take`, address: ip.source },
        evidence: [dropLine(evidence, drop), { source: 'packet bytes', text: 'IPv6 routing header' }],
        remedies: [{ text: `Have ${ip.source} send without the routing header; for segment routing: net.ipv6.conf.${device}.seg6_enabled=1 here, where its senders are trusted.`, risk: 'low' }],
      };
    }
    if (accepted) return ruledOut(`accept_source_route is on for ${device}`);
    const on = six ? 0 : 1;
    const settings = ([[conf.allKey, conf.all], [conf.key, conf.device]] as const).filter(([, v]) => (six ? v < 0 : v === 0));
    return {
      outcome: 'found',
      confidence: 0.97,
      severity: 'warning',
      identity: `accept_source_route|${device}`,
      explanation: `Packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where} with a ${six ? 'routing header' : `${ip.options?.includes(SSRR) === true ? 'strict' : 'loose'} source-route option`} and were refused. accept_source_route is ${conf.all} for all interfaces and ${conf.device} for ${device}; ${six ? 'a negative value of either' : 'both have to be 1, and a 0 of either'} refuses. The sender ${ip.source} prescribes the way itself.`,
      culprit: { kind: 'sysctl', text: `${settings[0]?.[0] ?? conf.key} accept_source_route = ${settings[0]?.[1] ?? conf.device}`, name: settings[0]?.[0] ?? conf.key, value: conf.device, all: conf.all, effective: 0, interface: device },
      evidence: [dropLine(evidence, drop), { source: 'packet bytes', text: six ? 'IPv6 routing header' : `IP options ${ip.options?.join(', ') ?? ''}` }, { source: 'sysctl', text: `${conf.allKey} = ${conf.all}, ${conf.key} = ${conf.device}` }],
      remedies: [
        { text: `Accept source-routed packets on ${device}: only where every sender behind it is trusted.`, command: sysctlSet(evidence, drop.netns, settings.map(([k]) => [k, on] as const)), undo: sysctlSet(evidence, drop.netns, settings), risk: 'medium' },
        { text: `Or have ${ip.source} send without the option.`, risk: 'low' },
      ],
    };
  },
};
