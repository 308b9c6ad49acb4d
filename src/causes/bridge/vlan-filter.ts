import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.vlan-filter',
  title: 'the bridge port does not carry that VLAN',
  needs: bridgeNeeds,
  knowledge: {
    what: 'The bridge filters by VLAN, and the port the frame came in on (or should leave by) does not have the VLAN of the frame: a tagged frame of another VLAN, or an untagged frame at a port without a PVID.',
    signs: ['NOT_SPECIFIED in br_handle_frame_finish, __allowed_ingress or br_handle_vlan', 'No counter of the interface tells'],
    fixes: ['`bridge vlan show dev PORT`', '`bridge vlan add dev PORT vid N [pvid untagged]`'],
    functions: ['__allowed_ingress', 'br_handle_vlan', 'br_handle_frame_finish'],
    reasons: ['NOT_SPECIFIED'],
    errnos: ['EHOSTUNREACH'],
    versions: ['No reason of its own up to 6.18'],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('vlan-filter', symptom, evidence),
};
