import { inNetns, netnsText } from '../../evidence/netns.ts';
import { dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { lastSysctl } from '../../evidence/network/sysctl.ts';
import { bothFamilies, receiverOf, socketText } from '../../evidence/socket/table.ts';
import { hindranceOf, hindranceRemedy } from '../../evidence/process/state.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { judgeSynQueue } from './syn-queue.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  let line: EvidenceLine;
  let wanted: Socket | undefined;
  if (symptom.kind === 'counter') {
    if (symptom.counter.endsWith(' TcpExt TCPReqQFullDrop') || (symptom.clue === true && symptom.counter.endsWith(' TcpExt ListenDrops'))) return judgeSynQueue(symptom, evidence);
    if (!/\bTcpExt (?:ListenOverflows|ListenDrops)$/.test(symptom.counter)) return NOT_APPLICABLE;
    line = { source: '/proc/net/netstat', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` };
  } else if (symptom.kind === 'drop' && /^(?:TCP_LISTEN_OVERFLOW|TCP_REQQFULLDROP|TCP_ACCEPTQ_FULL)$/.test(symptom.drop.reason.name)) {
    line = dropLine(evidence, symptom.drop);
  } else return NOT_APPLICABLE;

  const list = bothFamilies(evidence, symptom.netns, 'tcp-listen');
  const somaxconn = lastSysctl(evidence, symptom.netns, 'net/core/somaxconn');
  if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the accept queues of the listeners (ss -ltn)');
  const earlier = bothFamilies(evidence, symptom.netns, 'tcp-listen', 'before');
  if (symptom.kind === 'drop' && symptom.drop.packet.ip !== undefined && symptom.drop.packet.transport?.kind === 'tcp') {
    const { ip, transport } = symptom.drop.packet;
    wanted = receiverOf(list, { source: ip.source, sourcePort: transport.sourcePort, destination: ip.destination, destinationPort: transport.destinationPort, ifindex: symptom.drop.ifindex });
  }
  const listener = wanted ?? fullest(list, isUnavailable(earlier) ? [] : earlier);
  const where = netnsText(evidence, symptom.netns);
  if (listener === undefined) {
    return {
      outcome: 'found', confidence: 0.8, severity: 'warning', identity: 'listener unknown',
      explanation: `Connection attempts were dropped in ${where} because the accept queue of a listening socket was full. No listener that is open now shows a full queue or drops of its own: it was restarted or has ended since. The limit for every queue here is net.core.somaxconn${somaxconn === undefined ? '' : ` = ${somaxconn}`}.`,
      culprit: somaxconn !== undefined && somaxconn < 128
        ? { kind: 'sysctl', text: `net.core.somaxconn = ${somaxconn} in ${where}, which caps every accept queue there`, sysctl: 'net.core.somaxconn', value: somaxconn }
        : { kind: 'socket', text: `a listener in ${where} with a full accept queue (somaxconn ${somaxconn ?? 'unknown'})` },
      evidence: [line, ...(somaxconn === undefined ? [] : [{ source: 'sysctl', text: `net.core.somaxconn = ${somaxconn}` }])],
      remedies: [...(somaxconn !== undefined && somaxconn < 128 ? [{ text: 'Raise net.core.somaxconn; it takes effect at the next listen().', command: inNetns(evidence, symptom.netns, 'sysctl -w net.core.somaxconn=4096'), undo: inNetns(evidence, symptom.netns, `sysctl -w net.core.somaxconn=${somaxconn}`), risk: 'low' as const }] : []), { text: 'Look at the queues while it happens: ss -ltn, Recv-Q waits, Send-Q is the limit.', command: inNetns(evidence, symptom.netns, 'ss -ltn'), risk: 'low' }],
    };
  }
  const holder = listener.inode === 0 ? undefined : holderOf(evidence, listener.inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const hindrance = process === undefined ? undefined : hindranceOf(evidence, process.pid);
  const name = process === undefined ? 'the program' : processText(process);
  const at = `tcp ${socketText(listener)}`;
  const limit = listener.sendQueue;
  const capped = somaxconn !== undefined && limit >= somaxconn;
  const wish = Math.max(4096, limit * 4);
  const remedies: Remedy[] = [];
  if (process !== undefined && hindrance !== undefined) remedies.push(hindranceRemedy(process, hindrance));
  if (capped) {
    remedies.push({ text: `Raise net.core.somaxconn; it takes effect at the next listen(), so restart ${process?.comm ?? 'the program'} afterwards.`, command: inNetns(evidence, symptom.netns, `sysctl -w net.core.somaxconn=${wish}`, process?.pid), undo: inNetns(evidence, symptom.netns, `sysctl -w net.core.somaxconn=${somaxconn}`, process?.pid), risk: 'low' });
  } else {
    remedies.push({ text: `Raise the backlog in the configuration of ${process?.comm ?? 'the program'}: it calls listen() with ${limit}${somaxconn === undefined ? '' : `, net.core.somaxconn would allow ${somaxconn}`}.`, risk: 'low' });
  }
  remedies.push({ text: `Let ${process?.comm ?? 'the program'} call accept() sooner: it has left connections waiting.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: 0.96,
    severity: 'warning',
    identity: at,
    explanation: `Connection attempts to ${at} in ${where} were dropped because its accept queue was full: at most ${limit} may wait${listener.receiveQueue > 0 ? `, ${listener.receiveQueue} wait now` : ''}. ${hindrance === undefined ? (capped ? `The limit comes from net.core.somaxconn = ${somaxconn}, which caps what the program asks of listen().` : `The limit is the backlog that the program gave to listen()${somaxconn === undefined ? '' : `; net.core.somaxconn = ${somaxconn} is larger`}.`) : `${process === undefined ? 'The program' : processName(process)} is ${hindrance} and accepts nothing.`} No drop event tells of this loss, only the counters ListenOverflows and ListenDrops do; clients try again after 1, 3 and 7 seconds.`,
    culprit: hindrance !== undefined && process !== undefined
      ? { kind: 'process', text: `${name} is ${hindrance} and does not accept connections on ${at} (backlog ${limit})`, pid: process.pid, comm: process.comm }
      : capped
        ? { kind: 'sysctl', text: `net.core.somaxconn = ${somaxconn} in ${where}, which caps the accept queue of ${at} (${name})`, sysctl: 'net.core.somaxconn', value: somaxconn, socket: at }
        : { kind: process === undefined ? 'socket' : 'process', text: `the backlog of ${limit} that ${name} gave to listen() on ${at}`, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), backlog: limit },
    evidence: [line, socketLine(listener), ...(somaxconn === undefined ? [] : [{ source: 'sysctl', text: `net.core.somaxconn = ${somaxconn}` }])],
    remedies,
  };
}

/** The listener whose queue is over its limit, else the one that has counted most drops since it was last looked at. */
function fullest(list: readonly Socket[], earlier: readonly Socket[]): Socket | undefined {
  const was = new Map(earlier.map((s) => [s.inode, s.memory?.drops ?? 0]));
  const weight = (s: Socket): number => (s.receiveQueue > s.sendQueue ? 1e9 : 0) + Math.max(0, (s.memory?.drops ?? 0) - (was.get(s.inode) ?? 0)) * 1e3 + (s.receiveQueue >= s.sendQueue && s.receiveQueue > 0 ? 1 : 0);
  let best: Socket | undefined;
  for (const s of list) if (s.state === 'listen' && weight(s) > (best === undefined ? 0 : weight(best))) best = s;
  return best;
}

export const cause: Cause = {
  id: 'socket.listen-overflow',
  title: 'the accept queue of a listener was full',
  needs: ['sockets', 'socket-owner', 'process', 'sysctl'],
  knowledge: {
    what: 'A TCP connection that is complete waits in the accept queue of its listener until the program calls accept(). The queue holds as many as the program said in listen(), but never more than net.core.somaxconn. While it is full, new connection attempts are dropped without an answer, and clients try again after 1, 3 and 7 seconds. Before that, while its handshake is open, an attempt waits in the SYN queue, which may be full as well. The kernel makes no drop event for it.',
    signs: ['ListenOverflows and ListenDrops in TcpExt of /proc/net/netstat (netstat -s: times the listen queue of a socket overflowed)', 'ss -ltn: Recv-Q larger than Send-Q', 'TCPReqQFullDrop, or ListenDrops alone: the SYN queue was full (ss -tn state syn-recv)', 'connects that hang for a second or more'],
    fixes: ['net.core.somaxconn, then restart the service', 'a larger backlog in the service', 'kill -CONT PID for a stopped process', 'accept faster'],
    functions: ['tcp_conn_request', 'tcp_v4_syn_recv_sock', 'sk_acceptq_is_full', 'inet_csk_listen_start', '__sys_listen'],
    reasons: ['TCP_LISTEN_OVERFLOW', 'TCP_REQQFULLDROP'],
    errnos: ['ETIMEDOUT'],
    versions: ['The default of somaxconn is 4096 since Linux 5.4, 128 before', 'Newer kernels than 6.18 may give a drop reason'],
    sources: ['net/ipv4/tcp_input.c', 'net/socket.c', 'listen(2)'],
  },
  judge,
};
