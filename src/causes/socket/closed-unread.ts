import { netnsText } from '../../evidence/netns.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';

const PLACES = /^(?:sk_stream_kill_queues|inet_sock_destruct|skb_queue_purge_reason|__skb_queue_purge_reason|skb_rbtree_purge|tcp_write_queue_purge|unix_sock_destructor|packet_sock_destruct|netlink_sock_destruct|skb_errqueue_purge|udp_destruct_common|sock_def_destruct)$/;

export const cause: Cause = {
  id: 'socket.closed-unread',
  title: 'a socket was closed with packets unread',
  needs: [],
  knowledge: {
    what: 'A program closed a socket, or ended, while packets were still queued in it: unread data, errors nobody asked for, or copies of ICMP messages. The kernel throws them away with the socket. This is normal.',
    signs: ['drop reason QUEUE_PURGE at sk_stream_kill_queues, inet_sock_destruct or skb_queue_purge_reason'],
    fixes: ['nothing need be done; a TCP socket that is closed with unread data answers with a reset, so a peer may see ECONNRESET'],
    functions: ['sk_stream_kill_queues', 'inet_sock_destruct', 'skb_queue_purge_reason', 'udp_destruct_common'],
    reasons: ['QUEUE_PURGE', 'SOCKET_CLOSE'],
    errnos: ['ECONNRESET'],
    versions: ['The reason QUEUE_PURGE exists since Linux 6.7'],
    sources: ['net/core/stream.c', 'net/ipv4/af_inet.c', 'RFC 1122 section 4.2.2.13'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const purge = drop.reason.name === 'QUEUE_PURGE' || ((drop.reason.name === 'NOT_SPECIFIED' || drop.reason.name === 'SOCKET_CLOSE') && PLACES.test(drop.place.name ?? ''));
    if (!purge) return NOT_APPLICABLE;
    return {
      outcome: 'found',
      confidence: 0.9,
      severity: 'info',
      identity: 'closed',
      explanation: `Packets were still queued when a socket was closed in ${netnsText(evidence, drop.netns)}, and were thrown away with it. The program had ended or wanted no more data. This is normal.`,
      culprit: { kind: 'socket', text: 'a socket that was closed with packets unread' },
      evidence: [dropLine(evidence, drop)],
      remedies: [{ text: 'Nothing need be done.', risk: 'low' }],
    };
  },
};
