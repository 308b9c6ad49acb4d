import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.port-locked',
  title: 'the bridge port is locked and does not know the sender',
  needs: bridgeNeeds,
  knowledge: {
    what: 'A locked port takes frames only from MAC addresses that the FDB already has on it, so that a host has to be admitted first (IEEE 802.1X). The sender is not there.',
    signs: ['NOT_SPECIFIED at br_handle_frame_finish', 'The host behind the port can reach nobody'],
    fixes: ['`bridge fdb replace MAC dev PORT master static` admits one host', '`bridge link set dev PORT locked off`'],
    functions: ['br_handle_frame_finish'],
    reasons: ['NOT_SPECIFIED'],
    errnos: ['EHOSTUNREACH'],
    versions: ['Locked ports exist since 5.18'],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('port-locked', symptom, evidence),
};
