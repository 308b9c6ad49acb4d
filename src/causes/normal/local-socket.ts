import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(inet6?_rtm_getroute|unix_|netlink_|nlmsg_|do_one_broadcast|kobject_uevent|queue_oob|packet_rcv|tpacket_rcv|packet_|audit_|skb_free_datagram|__skb_free_datagram|sock_diag_|rtnl_)/;

export const cause: Cause = {
  id: 'normal.local-socket',
  title: 'messages of local sockets that were thrown away',
  needs: [],
  knowledge: {
    what: 'Unix and netlink sockets carry their messages in the same buffers as packets. A route lookup by `ip route get` that is refused leaves such a buffer, too. What is not taken (a broadcast without a listener, a message to a socket that closed, a capture that filters) is accounted as a drop, though no packet of any network was lost.',
    signs: ['Drops at functions whose names begin with unix_, netlink_ or packet_, with protocol 0'],
    fixes: ['Nothing need be done'],
    functions: ['netlink_broadcast_filtered', 'unix_release_sock', 'packet_rcv'],
    reasons: ['NOT_SPECIFIED', 'PACKET_SOCK_ERROR', 'UNIX_DISCONNECT', 'UNIX_SKIP_OOB'],
    errnos: [],
    versions: ['Linux 6.12 has PACKET_SOCK_ERROR, 6.1 has not'],
    sources: ['net/netlink/af_netlink.c', 'net/unix/af_unix.c', 'net/packet/af_packet.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    if (!PLACES.test(symbolOf(drop)) && !/^(UNIX_|PACKET_SOCK)/.test(drop.reason.name)) return NOT_APPLICABLE;
    // a capture's filter that passes a packet by is no drop (packet_rcv): this one wanted it, and had no room
    if (drop.reason.name === 'PACKET_SOCK_ERROR') return noise(evidence, drop, 'capture', 'The copy of a packet for a capture (a packet socket, such as that of tcpdump) was thrown away', 'Its buffer was full, since its program reads too slowly or not at all. The packet itself went its way.', 0.9);
    return noise(evidence, drop, `local|${symbolOf(drop)}`, 'A message of a local socket was thrown away', 'It was no packet of a network, or a copy for a capture that did not want it.', 0.85);
  },
};
