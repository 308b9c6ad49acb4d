import { symbolOf } from '../../evidence/network/words.ts';
import { TCP_FLAG } from '../../model/packet.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(tcp_v[46]_rcv|tcp_v[46]_do_rcv|tcp_rcv_state_process|tcp_rcv_established|tcp_validate_incoming|tcp_timewait_state_process|tcp_reset|tcp_data_queue|tcp_ack)$/;
const REASONS = new Set(['NOT_SPECIFIED', 'TCP_RESET', 'TCP_CLOSE', 'TCP_FASTOPEN', 'TCP_TIMEWAIT', 'TCP_OLD_DATA', 'TCP_OLD_ACK', 'TCP_OLD_SEQUENCE', 'TCP_FLAGS', 'NO_SOCKET']);

export const cause: Cause = {
  id: 'normal.tcp-teardown',
  title: 'the end of a TCP connection',
  needs: [],
  knowledge: {
    what: 'While a TCP connection ends or is reset, the segments that carry the end are consumed as drops: a RST after it has done its work, a FIN or a bare acknowledgement that comes after the socket has gone, a copy of what was already received. It is normal.',
    signs: ['NOT_SPECIFIED at tcp_v4_rcv or tcp_rcv_state_process for segments with RST or FIN', 'TCP_RESET, TCP_OLD_DATA, TCP_OLD_ACK'],
    fixes: ['Nothing need be done; for who resets connections, see socket.tcp-closed'],
    functions: ['tcp_v4_rcv', 'tcp_rcv_state_process', 'tcp_validate_incoming'],
    reasons: ['NOT_SPECIFIED', 'TCP_RESET', 'TCP_CLOSE', 'TCP_OLD_DATA', 'TCP_OLD_ACK'],
    errnos: [],
    versions: [],
    sources: ['net/ipv4/tcp_ipv4.c', 'net/ipv4/tcp_input.c', 'RFC 9293'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { transport, ip } = drop.packet;
    if (!REASONS.has(drop.reason.name) || !PLACES.test(symbolOf(drop)) || transport?.kind !== 'tcp') return NOT_APPLICABLE;
    const { flags } = transport;
    if ((flags & TCP_FLAG.SYN) !== 0) return NOT_APPLICABLE;
    const copy = drop.reason.name.startsWith('TCP_OLD');
    const end = (flags & (TCP_FLAG.RST | TCP_FLAG.FIN)) !== 0;
    const payload = ip === undefined ? 0 : ip.totalLength - ip.headerLength - 20 - transport.options.length;
    // without the lengths of options a bare acknowledgement may seem to hold up to 40 bytes; PSH tells data apart
    const bare = payload <= 40 && (flags & TCP_FLAG.PSH) === 0;
    if (!copy && !end && !bare) return NOT_APPLICABLE;
    const what = copy ? 'A copy of what was received before was dropped' : (flags & TCP_FLAG.RST) !== 0 ? 'A reset was consumed' : (flags & TCP_FLAG.FIN) !== 0 ? 'The end of a connection was consumed' : 'An acknowledgement for a connection that has ended was dropped';
    return noise(evidence, drop, `tcp|${what}`, what, 'That belongs to the end of TCP connections and to repeated segments.', (flags & TCP_FLAG.RST) !== 0 ? 0.95 : 0.9);
  },
};
