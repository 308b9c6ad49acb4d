import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.port-isolated',
  title: 'both bridge ports are isolated from each other',
  needs: bridgeNeeds,
  knowledge: {
    what: 'Isolated ports of a bridge exchange frames only with ports that are not isolated. The frame came in by one isolated port and should leave by another, so it is dropped.',
    signs: ['NOT_SPECIFIED at br_handle_frame_finish', 'ARP between the two hosts goes unanswered, each reaches the uplink'],
    fixes: ['`bridge -d link` shows isolated on', '`bridge link set dev PORT isolated off` on one of the two'],
    functions: ['br_handle_frame_finish', 'should_deliver', 'br_skb_isolated'],
    reasons: ['NOT_SPECIFIED', 'NO_TX_TARGET'],
    errnos: ['EHOSTUNREACH'],
    versions: ['Isolated ports exist since 4.18'],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('port-isolated', symptom, evidence),
};
