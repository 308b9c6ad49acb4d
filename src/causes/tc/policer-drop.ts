import type { Cause } from '../../model/cause.ts';
import { filterNeeds, judgeFilter } from './filter.ts';

export const cause: Cause = {
  id: 'tc.policer-drop',
  title: 'a traffic-control policer dropped it',
  needs: filterNeeds,
  knowledge: {
    what: 'A filter on the device polices a rate: what comes faster than that, beyond its burst, is dropped at once, without a queue.',
    signs: ['TC_INGRESS at __netif_receive_skb_core, TC_EGRESS at __dev_queue_xmit', 'The sender is not told', '`tc -s filter show dev DEV ingress`: the police action counts drops'],
    fixes: ['Raise rate and burst of the police action', 'Or delete the filter: `tc filter del dev DEV ingress pref N`'],
    functions: ['tcf_classify', 'sch_handle_ingress', 'sch_handle_egress', 'tcf_police_act'],
    reasons: ['TC_INGRESS', 'TC_EGRESS'],
    errnos: [],
    versions: ['The reasons exist since 5.18', 'Programs attached by tcx (6.6 and later) show the same reasons, but are no filters'],
    sources: ['net/core/dev.c', 'net/sched/cls_api.c', 'tc(8)', 'tc-police(8)'],
  },
  judge: (symptom, evidence) => judgeFilter('policer-drop', symptom, evidence),
};
