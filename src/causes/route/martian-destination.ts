import { incomingDevice } from '../../evidence/network/packet.ts';
import { ipv4Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const REASONS = new Set(['IP_INVALID_DEST', 'IP_LOCALNET']);

export const cause: Cause = {
  id: 'route.martian-destination',
  title: 'the destination address cannot be reached from outside',
  needs: ['sysctl', 'route', 'rule', 'link'],
  knowledge: {
    what: 'A packet from the wire is addressed to a loopback address, to 0.0.0.0/8, or to something that routing knows neither as its own nor as somebody else\'s. The kernel calls it a martian and drops it. A DNAT rule that redirects outside traffic to 127.0.0.1 does this, unless route_localnet is on for the interface.',
    signs: ['IP_LOCALNET or IP_INVALID_DEST at ip_rcv_finish_core (newer kernels)', 'NOT_SPECIFIED at ip_rcv_finish_core before', '"martian destination" in the kernel log when log_martians is on'],
    fixes: ['Let the service listen on an address of the interface, or DNAT to that instead of 127.0.0.1', 'Or `sysctl -w net.ipv4.conf.IFACE.route_localnet=1`, where the network behind it is trusted'],
    functions: ['ip_route_input_slow', 'ip_rcv_finish_core'],
    reasons: ['IP_LOCALNET', 'IP_INVALID_DEST'],
    errnos: [],
    versions: ['Linux 6.18 has the reasons; 6.12 and older show NOT_SPECIFIED at ip_rcv_finish_core'],
    sources: ['net/ipv4/route.c', 'RFC 1122 section 3.2.1.3', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};

function judge(drop: DropEvent, evidence: Evidence): Finding {
  const { ip } = drop.packet;
  const named = REASONS.has(drop.reason.name);
  if (ip === undefined || ip.version !== 4 || !(named || (drop.reason.name === 'NOT_SPECIFIED' && symbolOf(drop) === 'ip_rcv_finish_core'))) return NOT_APPLICABLE;
  const to = ip.destination;
  const loopback = to.startsWith('127.');
  const zero = to.startsWith('0.');
  const found = incomingDevice(evidence, drop) ?? drop.interface;
  if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
  const device = found ?? '?';
  const decision = decideRoute(evidence, drop.netns, { to, from: ip.source, iif: device });
  if (!loopback && !zero && drop.reason.name !== 'IP_INVALID_DEST') return drop.reason.name === 'IP_LOCALNET' ? NOT_APPLICABLE : ruledOut(`${to} is no impossible destination`);
  const conf = loopback ? ipv4Conf(evidence, drop.netns, 'route_localnet', device) : undefined;
  if (conf !== undefined && isUnavailable(conf)) return cannotTell(unavailableText(conf), 'route_localnet of the interface');
  if (conf !== undefined && conf.effective !== 0 && !named) return ruledOut(`route_localnet is on for ${device}`);
  const where = netnsText(evidence, drop.netns);
  const route = isUnavailable(decision) || decision.route === undefined ? undefined : decision.route;
  const why = loopback ? `a loopback address, and route_localnet is off on ${device}` : zero ? 'in 0.0.0.0/8, which no host can have' : `routed here as ${route?.type ?? 'nothing'}, which fits neither delivery nor forwarding`;
  const remedies: Remedy[] = [];
  if (conf !== undefined) remedies.push({ text: `Let packets for loopback addresses in by ${device}. Whatever listens on 127.0.0.1 there can then be reached from that network.`, command: sysctlSet(evidence, drop.netns, [[conf.key, 1]]), undo: sysctlSet(evidence, drop.netns, [[conf.key, conf.device]]), risk: 'high' });
  remedies.push({ text: loopback ? `Or have the rule that redirects to ${to} name an address of ${device}, and the service listen there.` : `Find what sends packets for ${to}: the sender's configuration, or a rule here that rewrites the destination.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: named ? 0.96 : 0.88,
    severity: 'warning',
    identity: `martian destination|${to}|${device}`,
    explanation: `Packets from ${ip.source} came in on ${device} in ${where} for ${to} and were dropped as martians. ${to} is ${why}. ${loopback ? 'A rule that rewrites their destination, or a route at the sender, gave them that address.' : 'The kernel neither delivers nor forwards such packets.'}`,
    culprit: conf === undefined
      ? { kind: 'peer', text: `destination ${to} on packets that come in on ${device}`, address: to, interface: device }
      : { kind: 'sysctl', text: `${conf.key} route_localnet = ${conf.effective} on ${device}, destination ${to}`, name: conf.key, value: conf.device, effective: conf.effective, interface: device, address: to },
    evidence: [
      dropLine(evidence, drop),
      ...(conf === undefined ? [] : [{ source: 'sysctl', text: `${conf.key} = ${conf.device}, ${conf.allKey} = ${conf.all}` }]),
      ...(route === undefined ? [] : [{ source: 'ip route show table all', text: `${to}: ${route.type} ${route.destination} table ${route.table}` }]),
    ],
    remedies,
  };
}
