import type { Cause } from '../../model/cause.ts';
import { judgeQueue, queueNeeds } from './queue.ts';

export const cause: Cause = {
  id: 'qdisc.tail-drop',
  title: 'a shaper or scheduler dropped it',
  needs: queueNeeds,
  knowledge: {
    what: 'A queueing discipline that shapes or schedules (tbf, htb, codel, red, netem…) dropped the packet: its queue was full because more came than its rate lets out, or the packet was larger than its burst and could never pass.',
    signs: ['QDISC_DROP (newer kernels also QDISC_OVERLIMIT, QDISC_CONGESTED) at __dev_queue_xmit', '`tc -s qdisc show dev DEV`: dropped rises', 'ENOBUFS only for sockets with IP_RECVERR; other senders notice nothing'],
    fixes: ['tbf: `tc qdisc replace dev DEV … tbf rate R burst B limit L` with a burst of at least the MTU', 'htb: raise rate or ceil of the class', 'Or remove the shaper: `tc qdisc del dev DEV root`'],
    functions: ['tbf_enqueue', 'htb_enqueue', 'codel_qdisc_dequeue', '__dev_queue_xmit'],
    reasons: ['QDISC_DROP', 'QDISC_OVERLIMIT', 'QDISC_CONGESTED'],
    errnos: ['ENOBUFS'],
    versions: ['QDISC_DROP exists since 5.18; its finer kinds are in 6.18, not in 6.12'],
    sources: ['net/sched/', 'tc(8)', 'tc-tbf(8)', 'tc-htb(8)'],
  },
  judge: (symptom, evidence) => judgeQueue('tail-drop', symptom, evidence),
};
