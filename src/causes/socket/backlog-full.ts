import { netnsText } from '../../evidence/netns.ts';
import { dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { receiverProcess, receiverSocket } from '../../evidence/socket/owner.ts';
import { hindranceOf, hindranceRemedy } from '../../evidence/process/state.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { endpoint } from '../../base/inet.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'counter' && /\bTcpExt TCPBacklogDrop$/.test(symptom.counter)) {
    return {
      outcome: 'found', confidence: 0.8, severity: 'warning', identity: 'counter',
      explanation: `TCP segments were dropped in ${netnsText(evidence, symptom.netns)} because the backlog of a socket was full. A segment that arrives while its program is inside a call on the socket waits in the backlog. The counter does not say which socket it was.`,
      culprit: { kind: 'socket', text: 'a TCP socket whose backlog is full (TCPBacklogDrop)' },
      evidence: [{ source: '/proc/net/netstat', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` }],
      remedies: [{ text: 'Give the connection a larger receive buffer (the backlog may hold receive and send buffer together): net.ipv4.tcp_rmem, or SO_RCVBUF in the program.', risk: 'low' }],
    };
  }
  if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'SOCKET_BACKLOG') return NOT_APPLICABLE;
  const { drop } = symptom;
  const { ip, transport } = drop.packet;
  const socket = receiverSocket(evidence, drop);
  const owner = receiverProcess(evidence, drop);
  const process = isUnavailable(owner) ? undefined : owner;
  const hindrance = process === undefined ? undefined : hindranceOf(evidence, process.pid);
  const at = `${transport?.kind ?? 'ip'} ${endpoint(ip?.destination ?? '?', transport !== undefined && 'destinationPort' in transport ? transport.destinationPort : undefined)}`;
  const name = process === undefined ? 'the program' : processText(process);
  const size = isUnavailable(socket) ? drop.receiver?.receiveBuffer : socket.memory?.receiveBuffer;
  return {
    outcome: 'found',
    confidence: 0.95,
    severity: 'warning',
    identity: at,
    explanation: `Packets for ${at} in ${netnsText(evidence, drop.netns)} were dropped because the backlog of their socket was full. While ${process === undefined ? 'a program' : processName(process)} is inside a system call on the socket, packets wait in its backlog, which may hold as much as receive and send buffer together. The program spends too long in such calls, or the buffers${size === undefined ? '' : ` (${size} bytes for receiving)`} are too small.`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text: hindrance === undefined ? `${name} holds the socket ${at} too long; its backlog is full` : `${name} is ${hindrance} with the socket ${at} in use`, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), socket: at },
    evidence: [dropLine(evidence, drop), ...(isUnavailable(socket) ? [] : [socketLine(socket)])],
    remedies: [
      ...(process !== undefined && hindrance !== undefined ? [hindranceRemedy(process, hindrance)] : []),
      { text: `Raise SO_RCVBUF of ${process?.comm ?? 'the program'}${transport?.kind === 'tcp' ? ', or the largest value of net.ipv4.tcp_rmem' : ''}.`, risk: 'low' },
      { text: 'Let the program read in smaller pieces, or from more threads and sockets.', risk: 'low' },
    ],
  };
}

export const cause: Cause = {
  id: 'socket.backlog-full',
  title: 'the backlog of a busy socket was full',
  needs: ['sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'A packet that arrives while a program is inside a system call on its socket cannot be processed at once: it waits in the socket\'s backlog. The backlog may hold as much memory as the receive and send buffers together (TCP adds 64 KiB). When it is full, packets are dropped.',
    signs: ['drop reason SOCKET_BACKLOG', 'TCPBacklogDrop in TcpExt of /proc/net/netstat'],
    fixes: ['a larger receive buffer', 'a program that does not stay in one call for long'],
    functions: ['tcp_add_backlog', 'sk_add_backlog'],
    reasons: ['SOCKET_BACKLOG'],
    errnos: [],
    versions: ['The reason exists since Linux 5.18'],
    sources: ['net/ipv4/tcp_ipv4.c', 'include/net/sock.h'],
  },
  judge,
};
