import type { Cause } from '../../model/cause.ts';
import { filterNeeds, judgeFilter } from './filter.ts';

export const cause: Cause = {
  id: 'tc.filter-drop',
  title: 'a traffic-control filter dropped it',
  needs: filterNeeds,
  knowledge: {
    what: 'A filter at ingress or egress of the device (cls_bpf, u32, flower, matchall) has a verdict or an action that drops the packet, or redirects it to a device that is down. Container networks and shapers put such filters there.',
    signs: ['TC_INGRESS at __netif_receive_skb_core, TC_EGRESS at __dev_queue_xmit', 'The sender is not told', '`tc -s filter show dev DEV ingress|egress` lists them'],
    fixes: ['`tc filter del dev DEV ingress|egress pref N`', 'Bring up the device that a mirred action redirects to'],
    functions: ['tcf_classify', 'sch_handle_ingress', 'sch_handle_egress', 'cls_bpf_classify', 'tcf_mirred_act'],
    reasons: ['TC_INGRESS', 'TC_EGRESS'],
    errnos: [],
    versions: ['The reasons exist since 5.18', 'Programs attached by tcx (6.6 and later) show the same reasons, but are no filters'],
    sources: ['net/core/dev.c', 'net/sched/cls_api.c', 'tc(8)', 'tc-bpf(8)', 'tc-mirred(8)'],
  },
  judge: (symptom, evidence) => judgeFilter('filter-drop', symptom, evidence),
};
