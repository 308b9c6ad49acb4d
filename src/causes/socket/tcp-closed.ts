import { endpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { flowText, plainAddress } from '../../evidence/socket/flow.ts';
import { callLine, dropLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { accepts, bothFamilies, listenersOn } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding, type Found } from '../../model/finding.ts';
import { flowOf } from '../../model/flow.ts';
import { TCP_FLAG } from '../../model/packet.ts';
import type { DropSymptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

const RECEIVE = /^tcp_v[46]_(?:rcv|do_rcv)$/;
const ENDING = /^(?:tcp_rcv_state_process|tcp_rcv_established|tcp_data_queue|tcp_reset|tcp_done|tcp_fin|tcp_v[46]_do_rcv|tcp_child_process|tcp_rcv_synsent_state_process|tcp_ack)$/;
const END_REASONS = new Set(['TCP_CLOSE', 'TCP_RESET', 'TCP_ABORT_ON_DATA', 'TCP_ABORT_ON_LINGER', 'SOCKET_CLOSE', 'SOCKET_DESTROYED']);
/** A TCP header with all its options; more than that is data. */
const LARGEST_HEADER = 60;
const SENDS = /^(?:send|write|pwrite|splice|io_uring)/;

function judgeDrop(symptom: DropSymptom, evidence: Evidence): Finding {
  const { drop } = symptom;
  const { ip, transport } = drop.packet;
  if (ip === undefined || transport?.kind !== 'tcp') return NOT_APPLICABLE;
  const place = drop.place.name ?? '';
  const noSocket = drop.reason.name === 'NO_SOCKET' && RECEIVE.test(place) && (transport.flags & TCP_FLAG.SYN) === 0;
  const timeWait = drop.reason.name === 'NOT_SPECIFIED' && RECEIVE.test(place);
  const ending = END_REASONS.has(drop.reason.name) || (drop.reason.name === 'NOT_SPECIFIED' && ENDING.test(place));
  if (!noSocket && !timeWait && !ending) return NOT_APPLICABLE;
  const data = (transport.flags & (TCP_FLAG.RST | TCP_FLAG.SYN)) === 0 && ((transport.flags & TCP_FLAG.PSH) !== 0 || ip.totalLength - ip.headerLength > LARGEST_HEADER);
  const failed = symptom.call !== undefined && (symptom.call.errno === 'EPIPE' || symptom.call.errno === 'ECONNRESET');
  if ((data && timeWait) || failed) return late(drop, evidence, symptom.call);
  return normal(drop, evidence, data);
}

/** Data that came after this side had closed the connection in good order: a request that is lost. */
function late(drop: DropEvent, evidence: Evidence, call: CallEvent | undefined): Finding {
  const { ip, transport } = drop.packet;
  if (ip === undefined || transport?.kind !== 'tcp') return NOT_APPLICABLE;
  const destination = plainAddress(ip.destination);
  const at = endpoint(destination, transport.destinationPort);
  const peer = endpoint(plainAddress(ip.source), transport.sourcePort);
  const list = bothFamilies(evidence, drop.netns, 'tcp-listen');
  const listener = isUnavailable(list) ? undefined : listenersOn(list, transport.destinationPort).find((s) => accepts(s, destination));
  const holder = listener === undefined || listener.inode === 0 ? undefined : holderOf(evidence, listener.inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const server = process === undefined ? `the service on tcp ${at}` : `${processText(process)} on tcp ${at}`;
  const where = netnsText(evidence, drop.netns);
  return {
    outcome: 'found',
    confidence: 0.92,
    severity: 'warning',
    identity: `closed|${at}`,
    explanation: `${peer} sent data on a connection that ${server} in ${where} had already closed, so the data was dropped and answered with a reset. The sender had got the end of the connection (FIN) and used the connection all the same; it sees EPIPE or ECONNRESET, and its request is lost. Most often the server closes idle connections sooner than its clients expect (keep-alive or idle time-out).`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text: `${server} closes connections that ${plainAddress(ip.source)} still uses (idle or keep-alive time-out)`, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), socket: at, port: transport.destinationPort },
    evidence: [dropLine(evidence, drop), ...(call === undefined ? [] : [callLine(evidence, call)]), { source: 'packet', text: `data segment to a connection of ${at} that is closing or in time-wait` }],
    remedies: [
      { text: `Let the server on port ${transport.destinationPort} keep idle connections longer than its clients do (its keep-alive or idle time-out).`, risk: 'low' },
      { text: `Or let the client ${plainAddress(ip.source)} close idle connections sooner than the server, check a connection before it uses it again, and repeat a request that fails on an old connection.`, risk: 'low' },
    ],
  };
}

function normal(drop: DropEvent, evidence: Evidence, data: boolean): Found {
  const flow = flowOf(drop.packet);
  const t = drop.packet.transport;
  const reset = t?.kind === 'tcp' && (t.flags & TCP_FLAG.RST) !== 0;
  const port = t?.kind === 'tcp' ? Math.min(t.sourcePort, t.destinationPort) : 0;
  return {
    outcome: 'found',
    confidence: 0.85,
    severity: 'info',
    identity: `ending|${port}`,
    explanation: `${reset ? 'A reset' : data ? 'Data' : 'A segment'}${flow === undefined ? '' : ` (${flowText(flow)})`} came for a TCP connection that was over or ending in ${netnsText(evidence, drop.netns)}. Such segments are left over when a connection closes or is reset. This is normal.`,
    culprit: { kind: 'socket', text: `a TCP connection on port ${port} that had ended` },
    evidence: [dropLine(evidence, drop)],
    remedies: [{ text: 'Nothing need be done, unless a program complains of ECONNRESET or EPIPE at the same time.', risk: 'low' }],
  };
}

function judgeCall(call: CallEvent, evidence: Evidence): Finding {
  if (call.errno !== 'EPIPE' && call.errno !== 'ECONNRESET') return NOT_APPLICABLE;
  const family = call.socket?.family;
  if (family !== undefined && family !== 2 && family !== 10) return NOT_APPLICABLE;
  const sending = SENDS.test(call.syscall);
  const remote = call.socket?.remote ?? call.destination;
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  if (call.errno === 'EPIPE' && sending && call.socket !== undefined && call.destination === undefined && neverConnected(call.socket.remote)) return notConnected(call, evidence, who);
  return {
    outcome: 'found',
    confidence: call.socket === undefined ? 0.5 : 0.75,
    severity: sending && call.socket !== undefined ? 'warning' : 'info',
    identity: `call|${call.task.comm}|${remote ?? '?'}`,
    explanation: `${call.syscall} of ${who} failed with ${call.errno} in ${netnsText(evidence, call.netns)}: the connection${remote === undefined ? '' : ` to ${remote}`} had been closed by the other side. ${call.errno === 'EPIPE' ? 'A reset had come before, or this side had ended its own direction.' : 'The other side answered with a reset: it had closed the connection, or had ended.'} ${sending ? 'What was sent is lost; most often an idle connection was used again after the server had closed it.' : 'This is how many programs end a connection.'}`,
    culprit: { kind: 'peer', text: remote === undefined ? `the peer of ${who} had closed the connection` : `${remote} had closed the connection that ${who} used`, ...(remote === undefined ? undefined : { peer: remote }) },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Let the server${remote === undefined ? '' : ` ${remote}`} keep idle connections longer than ${call.task.comm} does, or let ${call.task.comm} open a new connection and repeat the request.`, risk: 'low' }],
  };
}

/** No peer: the remote end is absent, or all zeros. A connection that has ended keeps its peer's address. */
const neverConnected = (remote: string | undefined): boolean => remote === undefined || /^(0\.0\.0\.0|\[?::\]?)(:0)?$/.test(remote);

function notConnected(call: CallEvent, evidence: Evidence, who: string): Found {
  return {
    outcome: 'found', confidence: 0.8, severity: 'warning', identity: `unconnected|${call.task.comm}`,
    explanation: `${call.syscall} of ${who} failed with EPIPE in ${netnsText(evidence, call.netns)}: its TCP socket has no peer. It was never connected, or its connect() had failed (to send on it is ENOTCONN in other words). No packet was made.`,
    culprit: { kind: 'process', text: `${who} sends on a TCP socket that is not connected (EPIPE, ENOTCONN)`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Let ${call.task.comm} connect first, and look at what connect() answers before it sends.`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'socket.tcp-closed',
  title: 'the TCP connection was already closed',
  needs: ['sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'A segment came for a connection that its receiver had closed. While connections close, and after resets, a few such segments are normal. Data on a connection that was closed in good order is not: the sender used a connection again that the server had ended, typically because the idle time-out of the server is shorter than that of the client\'s connection pool. The receiver answers with a reset, the sender gets ECONNRESET or EPIPE.',
    signs: ['drop at tcp_v4_rcv or tcp_v6_rcv with reason NOT_SPECIFIED (time-wait) or NO_SOCKET (nothing left of the connection)', 'EPIPE or ECONNRESET at the sender', 'a FIN from the server some time before the data', 'EstabResets, OutRsts in /proc/net/snmp'],
    fixes: ['keep-alive time-out of the server longer than that of the clients', 'clients that repeat idempotent requests on a new connection', 'ss -tan state time-wait, state fin-wait-2 show such connections'],
    functions: ['tcp_v4_rcv', 'tcp_v6_rcv', 'tcp_timewait_state_process', 'tcp_rcv_state_process', 'tcp_v4_send_reset'],
    reasons: ['NOT_SPECIFIED', 'NO_SOCKET', 'TCP_CLOSE', 'TCP_RESET', 'TCP_ABORT_ON_DATA', 'TCP_ABORT_ON_LINGER'],
    errnos: ['EPIPE', 'ECONNRESET'],
    versions: [],
    sources: ['net/ipv4/tcp_ipv4.c', 'net/ipv4/tcp_minisocks.c', 'RFC 9293 section 3.10.7'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judgeDrop(symptom, evidence) : symptom.kind === 'call' ? judgeCall(symptom.call, evidence) : NOT_APPLICABLE),
};
