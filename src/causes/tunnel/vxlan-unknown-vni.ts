import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { judgeVxlan, vxlanNeeds } from './vxlan.ts';

export const cause: Cause = {
  id: 'tunnel.vxlan-unknown-vni',
  title: 'no VXLAN device has that VNI',
  needs: vxlanNeeds,
  knowledge: {
    what: 'A VXLAN packet carries the number (VNI) of its virtual network. The receiving host has a VXLAN socket on that UDP port, but no device with that number, so the packet is dropped. The two ends were configured with different numbers, or the device was deleted on one side.',
    signs: ['VXLAN_VNI_NOT_FOUND at vxlan_rcv', 'ARP through the tunnel goes unanswered'],
    fixes: ['`ip -d link show type vxlan` on both ends: the ids must agree', 'The id cannot be changed: delete the device and add it again'],
    functions: ['vxlan_rcv', 'vxlan_vs_find_vni'],
    reasons: ['VXLAN_VNI_NOT_FOUND'],
    errnos: ['EHOSTUNREACH'],
    versions: ['Linux 6.12 has VXLAN_VNI_NOT_FOUND; 6.1 shows NOT_SPECIFIED at vxlan_rcv'],
    sources: ['drivers/net/vxlan/vxlan_core.c', 'RFC 7348', 'ip-link(8)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judgeVxlan('unknown-vni', symptom.drop, evidence) : NOT_APPLICABLE),
};
