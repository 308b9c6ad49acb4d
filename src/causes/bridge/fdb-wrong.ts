import type { Cause } from '../../model/cause.ts';
import { bridgeNeeds, judgeBridge } from './frame.ts';

export const cause: Cause = {
  id: 'bridge.fdb-wrong',
  title: 'the bridge has the MAC at the wrong port',
  needs: bridgeNeeds,
  knowledge: {
    what: 'The forwarding database says that the destination is behind a port where it is not: behind the one the frame came from, so it is dropped, or behind another host, which drops it as not its own. A static entry that was not moved along with the host does this.',
    signs: ['NOT_SPECIFIED at br_handle_frame_finish', 'OTHERHOST at a host that has nothing to do with it'],
    fixes: ['`bridge fdb show | grep MAC`', '`bridge fdb del MAC dev PORT master`'],
    functions: ['br_handle_frame_finish', 'br_fdb_find_rcu', 'should_deliver'],
    reasons: ['NOT_SPECIFIED', 'OTHERHOST'],
    errnos: ['EHOSTUNREACH'],
    versions: [],
    sources: ['net/bridge/br_input.c', 'net/bridge/br_forward.c', 'bridge(8)'],
  },
  judge: (symptom, evidence) => judgeBridge('fdb-wrong', symptom, evidence),
};
