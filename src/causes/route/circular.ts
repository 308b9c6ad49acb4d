import { decideRoute } from '../../evidence/network/routing.ts';
import type { OuterPacket } from '../../evidence/network/tunnel.ts';
import { routeSpec, routeText, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Finding } from '../../model/finding.ts';
import type { Route } from '../../model/network.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

/** The way to a tunnel's far end leads into the tunnel itself: drivers refuse that as no route (udp_tunnel_dst_lookup and its kin: "circular route"). */
export function circular(symptom: Symptom, evidence: Evidence, outer: OuterPacket, route: Route): Finding {
  const where = netnsText(evidence, symptom.netns);
  const six = outer.remote.includes(':') ? '-6 ' : '';
  const after = decideRoute(evidence, symptom.netns, { to: outer.remote }, route);
  const then = isUnavailable(after) || after.route?.device === undefined ? undefined : after.route;
  return {
    outcome: 'found', confidence: 0.96, severity: 'warning', identity: `circular|${outer.device}`,
    explanation: `Packets into the ${outer.kind} tunnel ${outer.device} were dropped in ${where}. Its far end ${outer.remote} is routed into the tunnel itself: ${routeText(route)}. The packet that carries the others would have to travel through the tunnel that it makes, so the kernel refuses it.`,
    culprit: { kind: 'route', text: `circular route ${routeText(route)}: the far end ${outer.remote} of ${outer.device} lies behind ${outer.device}`, destination: route.destination, table: route.table, type: 'circular', interface: outer.device },
    evidence: [symptomLine(evidence, symptom), { source: `ip ${six}route`, text: routeText(route) }],
    remedies: [
      { text: then === undefined ? `Remove the route, and give ${outer.remote} one by the network below the tunnel.` : `Remove the route; ${outer.remote} is then reached by ${then.device}.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route del ${routeSpec(route)}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route add ${routeSpec(route)}`), risk: 'medium' },
      ...(then === undefined ? [] : [{ text: `Or give ${outer.remote} a route of its own by ${then.device}.`, risk: 'low' as const }]),
    ],
  };
}
