import type { Cause } from '../../model/cause.ts';
import { judgeQueue, queueNeeds } from './queue.ts';

export const cause: Cause = {
  id: 'qdisc.overlimit',
  title: 'a queue was over its limit',
  needs: queueNeeds,
  knowledge: {
    what: 'The device\'s queue holds a fixed number of packets or bytes, and it was full. Either the queue is very short, or packets come faster than the link or the shaper above it lets them out.',
    signs: ['QDISC_DROP (newer kernels also QDISC_OVERLIMIT, QDISC_CONGESTED) at __dev_queue_xmit', '`tc -s qdisc show dev DEV`: dropped rises', 'ENOBUFS only for sockets with IP_RECVERR; other senders notice nothing'],
    fixes: ['Lengthen it: `tc qdisc replace dev DEV … pfifo limit 1000`, or `ip link set DEV txqueuelen 1000`', 'Send more slowly, or raise the rate above it'],
    functions: ['pfifo_enqueue', 'bfifo_enqueue', 'pfifo_fast_enqueue', '__dev_queue_xmit'],
    reasons: ['QDISC_DROP', 'QDISC_OVERLIMIT', 'QDISC_CONGESTED'],
    errnos: ['ENOBUFS'],
    versions: ['QDISC_DROP exists since 5.18; its finer kinds are in 6.18, not in 6.12'],
    sources: ['net/sched/sch_fifo.c', 'net/sched/sch_generic.c', 'tc-pfifo(8)'],
  },
  judge: (symptom, evidence) => judgeQueue('overlimit', symptom, evidence),
};
