import type { Cause } from '../../model/cause.ts';
import { judgeXfrm, xfrmNeeds } from './policy.ts';

export const cause: Cause = {
  id: 'xfrm.no-state',
  title: 'an IPsec policy asks for keys that are not there',
  needs: xfrmNeeds,
  knowledge: {
    what: 'An IPsec (xfrm) policy wants the packet encrypted or authenticated, but there is no security association (state) for it: the key daemon is not running, or its negotiation fails. The packet is dropped, while the call of the sender succeeds.',
    signs: ['NOT_SPECIFIED at dst_discard_out', 'XfrmOutNoStates, XfrmInNoStates in /proc/net/xfrm_stat rise', '`ip xfrm state` is empty'],
    fixes: ['Start the key daemon (strongSwan, Libreswan) and read its log', 'Or delete the policy, when the packets may travel in clear'],
    functions: ['xfrm_lookup_with_ifid', 'xfrm_tmpl_resolve', 'dst_discard_out', 'xfrm_input'],
    reasons: ['NOT_SPECIFIED'],
    errnos: ['EAGAIN', 'ESRCH'],
    versions: ['No reason of its own up to 6.18'],
    sources: ['net/xfrm/xfrm_policy.c', 'net/xfrm/xfrm_input.c', 'ip-xfrm(8)', 'Documentation/networking/xfrm_proc.rst'],
  },
  judge: (symptom, evidence) => judgeXfrm('no-state', symptom, evidence),
};
