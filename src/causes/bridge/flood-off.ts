import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.flood-off',
  title: 'the bridge does not flood to the port',
  needs: bridgeNeeds,
  knowledge: {
    what: 'The bridge has not learned where the destination is, and the ports that it could send the frame to do not take unknown unicast (flood off), broadcast (bcast_flood off) or multicast (mcast_flood off). So nobody gets it.',
    signs: ['NO_TX_TARGET at br_flood or br_handle_frame_finish; NOT_SPECIFIED on older kernels', 'Traffic works for a while after the destination itself has sent something'],
    fixes: ['`bridge -d link` shows flood off', '`bridge link set dev PORT flood on`', 'Or an FDB entry: `bridge fdb add MAC dev PORT master static`'],
    functions: ['br_flood', 'br_handle_frame_finish'],
    reasons: ['NO_TX_TARGET', 'NOT_SPECIFIED'],
    errnos: ['EHOSTUNREACH'],
    versions: ['Linux 6.12 and later have NO_TX_TARGET; bridges that do not use it yet show NOT_SPECIFIED'],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('flood-off', symptom, evidence),
};
