import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(sk_stream_kill_queues|inet_sock_destruct|skb_queue_purge_reason|skb_queue_purge|tcp_disconnect|tcp_write_queue_purge|udp_destroy_sock|udp_destruct_common|udp_destruct_sock|__skb_queue_purge|skb_rbtree_purge|tcp_v4_destroy_sock|unix_release_sock|unix_sock_destructor|netlink_sock_destruct|packet_sock_destruct|skb_release_data|__sk_destruct|skb_errqueue_purge|napi_disable|neigh_destroy|neigh_flush_dev|pneigh_queue_purge|dev_qdisc_reset|qdisc_reset|pfifo_fast_reset|flush_backlog|tun_queue_purge)$/;

export const cause: Cause = {
  id: 'normal.socket-closed',
  title: 'what was left in the queues of a socket that closed',
  needs: [],
  knowledge: {
    what: 'When a socket closes, whatever still waits in its queues is thrown away: unread data, unsent segments, ICMP errors nobody fetched. The kernel accounts that as drops. It is normal; that a program leaves data unread may be of interest to its author.',
    signs: ['QUEUE_PURGE at sk_stream_kill_queues, inet_sock_destruct, skb_queue_purge_reason', 'SOCKET_CLOSE'],
    fixes: ['Nothing need be done'],
    functions: ['sk_stream_kill_queues', 'inet_sock_destruct', 'skb_queue_purge_reason'],
    reasons: ['QUEUE_PURGE', 'SOCKET_CLOSE'],
    errnos: [],
    versions: ['Linux 6.12 has QUEUE_PURGE; 6.1 shows NOT_SPECIFIED at the same places'],
    sources: ['net/core/stream.c', 'net/ipv4/af_inet.c', 'net/core/skbuff.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const reason = drop.reason.name;
    if (reason !== 'QUEUE_PURGE' && reason !== 'SOCKET_CLOSE' && !(reason === 'NOT_SPECIFIED' && PLACES.test(symbolOf(drop)))) return NOT_APPLICABLE;
    // packets that waited in vain for a neighbour: neigh.unresolved
    if (symbolOf(drop) === 'neigh_invalidate') return NOT_APPLICABLE;
    return noise(evidence, drop, `closed|${symbolOf(drop)}`, 'A queue was emptied', 'A socket or device closed, and what still waited in its queues went with it.', 0.9);
  },
};
