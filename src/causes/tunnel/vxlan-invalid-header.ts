import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { judgeVxlan, vxlanNeeds } from './vxlan.ts';

export const cause: Cause = {
  id: 'tunnel.vxlan-invalid-header',
  title: 'the VXLAN header has flags that the device refuses',
  needs: vxlanNeeds,
  knowledge: {
    what: 'The VXLAN header has bits set that the receiving device was not made for: the group-policy extension (gbp), the generic protocol extension (gpe), remote checksum offload, or reserved bits. A device refuses flags it does not know. The two ends were configured differently.',
    signs: ['VXLAN_INVALID_HDR at vxlan_rcv', 'Only some packets are lost: those that carry a mark, with gbp'],
    fixes: ['`ip -d link show type vxlan` on both ends: gbp, gpe and the like must agree', 'Such flags cannot be changed: delete the device and add it again'],
    functions: ['vxlan_rcv', 'vxlan_parse_gbp_hdr'],
    reasons: ['VXLAN_INVALID_HDR'],
    errnos: [],
    versions: ['Linux 6.12 has VXLAN_INVALID_HDR; 6.1 shows NOT_SPECIFIED at vxlan_rcv'],
    sources: ['drivers/net/vxlan/vxlan_core.c', 'RFC 7348', 'draft-smith-vxlan-group-policy', 'ip-link(8)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judgeVxlan('invalid-header', symptom.drop, evidence) : NOT_APPLICABLE),
};
