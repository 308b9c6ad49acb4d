import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.stp-blocked',
  title: 'the bridge port is not in state forwarding',
  needs: bridgeNeeds,
  knowledge: {
    what: 'A bridge port passes frames only in state forwarding. Spanning tree blocks ports to break loops and lets new ports wait; a state set by hand stays.',
    signs: ['BRIDGE_INGRESS_STP_STATE at br_handle_frame', 'Hosts behind the port get no ARP answers'],
    fixes: ['`bridge -d link show dev PORT` shows the state', 'STP off: `bridge link set dev PORT state 3`', 'STP on: find the loop, or wait for twice forward_delay'],
    functions: ['br_handle_frame', 'br_handle_frame_finish', 'should_deliver'],
    reasons: ['BRIDGE_INGRESS_STP_STATE', 'NOT_SPECIFIED'],
    errnos: ['EHOSTUNREACH'],
    versions: ['Linux 6.18 has BRIDGE_INGRESS_STP_STATE; 6.12 and older show NOT_SPECIFIED at br_handle_frame'],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('stp-blocked', symptom, evidence),
};
