import { findOwnerOfMac } from '../../evidence/network/hosts.ts';
import { incomingDevice } from '../../evidence/network/packet.ts';
import { neighbours } from '../../evidence/network/read.ts';
import { ipv4Conf, ipv6Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'link.unicast-in-l2-multicast',
  title: 'a unicast packet came in a multicast or broadcast frame',
  needs: ['sysctl', 'link', 'neighbour'],
  knowledge: {
    what: 'The frame was addressed to a group MAC, the IP packet in it to one host. With drop_unicast_in_l2_multicast on, the kernel drops such packets, as RFC 1122 asks. The sender has a broadcast or multicast MAC in its neighbour entry, or an access point turns unicast into multicast.',
    signs: ['UNICAST_IN_L2_MULTICAST at ip_rcv_finish_core, ip6_rcv_core'],
    fixes: ['Correct the neighbour entry at the sender', 'Or `sysctl -w net.ipv4.conf.all.drop_unicast_in_l2_multicast=0` and the same for the interface'],
    functions: ['ip_rcv_finish_core', 'ip6_rcv_core'],
    reasons: ['UNICAST_IN_L2_MULTICAST'],
    errnos: [],
    versions: ['The reason exists since 5.18'],
    sources: ['net/ipv4/ip_input.c', 'RFC 1122 section 3.3.6', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'UNICAST_IN_L2_MULTICAST') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { ip, ethernet } = drop.packet;
    const found = incomingDevice(evidence, drop) ?? drop.interface;
    if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
    const device = found ?? '?';
    const name = 'drop_unicast_in_l2_multicast';
    const conf = ip?.version === 6 ? ipv6Conf(evidence, drop.netns, name, device) : ipv4Conf(evidence, drop.netns, name, device);
    const owner = ethernet === undefined ? undefined : findOwnerOfMac(evidence, drop.netns, ethernet.source);
    if (isUnavailable(conf)) return cannotTell(unavailableText(conf), name);
    if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
    const sender = owner === undefined || isUnavailable(owner) ? undefined : owner;
    const table = sender === undefined ? undefined : neighbours(evidence, sender.netns);
    if (table !== undefined && isUnavailable(table) && table.unavailable === 'pending') return cannotTell(unavailableText(table), 'the neighbour table of the sender');
    const entry = table === undefined || isUnavailable(table) ? undefined : table.find((n) => n.mac === ethernet?.destination && n.mac !== undefined && n.states.some((s) => s !== 'NOARP') && !n.address.startsWith('ff'));
    const where = netnsText(evidence, drop.netns);
    const on = ([[conf.allKey, conf.all], [conf.key, conf.device]] as const).filter(([, v]) => v !== 0);
    const remedies: Remedy[] = [];
    if (on.length > 0) remedies.push({ text: `Accept unicast packets in multicast frames on ${device}.`, command: sysctlSet(evidence, drop.netns, on.map(([k]) => [k, 0] as const)), undo: sysctlSet(evidence, drop.netns, on), risk: 'low' });
    if (entry !== undefined && sender !== undefined) remedies.unshift({ text: `Delete the sender's neighbour entry with a group MAC; it then asks for the right one.`, command: iproute(evidence, sender.netns, 'ip', `neigh del ${entry.address} dev ${shellQuote(entry.device)}`), undo: iproute(evidence, sender.netns, 'ip', `neigh replace ${entry.address} lladdr ${entry.mac ?? ''} dev ${shellQuote(entry.device)} nud permanent`), risk: 'low' });
    return {
      outcome: 'found',
      confidence: 0.97,
      severity: 'warning',
      identity: `l2 multicast|${device}|${ethernet?.source ?? ''}`,
      explanation: `Packets from ${ip?.source ?? '?'} to ${ip?.destination ?? '?'} came in on ${device} in ${where} in frames for ${ethernet?.destination ?? 'a group MAC'}. ${name} is on there (all ${conf.all}, ${device} ${conf.device}), so unicast packets in such frames are dropped. ${entry === undefined || sender === undefined ? `The sender has MAC ${ethernet?.source ?? '?'}.` : `The sender, ${netnsText(evidence, sender.netns)}, has the neighbour entry ${entry.address} lladdr ${entry.mac} on ${entry.device}.`}`,
      culprit: { kind: 'sysctl', text: `${conf.key} ${name} = 1 on ${device}${entry === undefined ? '' : `; neighbour ${entry.address} lladdr ${entry.mac} at the sender`}`, name: on[0]?.[0] ?? conf.key, value: conf.device, all: conf.all, effective: 1, interface: device, mac: ethernet?.destination },
      evidence: [dropLine(evidence, drop), { source: 'sysctl', text: `${conf.key} = ${conf.device}, ${conf.allKey} = ${conf.all}` }, { source: 'drop probe', text: `frame from ${ethernet?.source ?? '?'} to ${ethernet?.destination ?? '?'}` }],
      remedies,
    };
  },
};
