import type { Cause } from '../../model/cause.ts';
import { judgeXfrm, xfrmNeeds } from './policy.ts';

export const cause: Cause = {
  id: 'xfrm.policy-block',
  title: 'an IPsec policy refuses it',
  needs: xfrmNeeds,
  knowledge: {
    what: 'An IPsec (xfrm) policy matches the packet and blocks it, or lets it in only protected and it came in clear. On the way out the call fails with EPERM before any packet is made; on the way in the packet is dropped before the socket gets it. Firewall listings do not show such policies.',
    signs: ['XFRM_POLICY at udp_queue_rcv_one_skb, tcp_v4_rcv, ip_forward and others', 'EPERM from send without a dropped packet', 'XfrmInPolBlock, XfrmOutPolBlock, XfrmInTmplMismatch in /proc/net/xfrm_stat rise'],
    fixes: ['`ip xfrm policy` lists them; the least priority number counts', '`ip xfrm policy del dir DIR src SRC dst DST`', 'Ask the IPsec daemon, for it makes most of them'],
    functions: ['__xfrm_policy_check', 'xfrm_lookup_with_ifid', 'xfrm_policy_lookup'],
    reasons: ['XFRM_POLICY'],
    errnos: ['EPERM'],
    versions: ['XFRM_POLICY exists since 5.17'],
    sources: ['net/xfrm/xfrm_policy.c', 'ip-xfrm(8)', 'Documentation/networking/xfrm_proc.rst'],
  },
  judge: (symptom, evidence) => judgeXfrm('policy-block', symptom, evidence),
};
