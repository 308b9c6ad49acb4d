import { endpoint, splitEndpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { callLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { bothFamilies } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judge(call: CallEvent, evidence: Evidence): Finding {
  if (call.syscall !== 'bind' || call.errno !== 'EADDRINUSE') return NOT_APPLICABLE;
  const wanted = splitEndpoint(call.destination ?? call.socket?.local ?? '');
  const where = netnsText(evidence, call.netns);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const at = wanted === undefined ? 'an address' : endpoint(plainAddress(wanted.address), wanted.port);
  const port = wanted?.port ?? 0;
  if (port === 0) return NOT_APPLICABLE; // any port: socket.port-exhausted
  const udp = call.socket?.protocol === 17;
  const list = bothFamilies(evidence, call.netns, udp ? 'udp' : 'tcp');
  const taken = isUnavailable(list) ? undefined : (list.find((s) => s.localPort === port && s.state === 'listen') ?? list.find((s) => s.localPort === port && s.inode !== 0) ?? list.find((s) => s.localPort === port));
  const holder = taken === undefined || taken.inode === 0 ? undefined : holderOf(evidence, taken.inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  if (process?.pid === call.task.pid) {
    return {
      outcome: 'found', confidence: 0.95, severity: 'info', identity: `bind again|${at}`,
      explanation: `${who} wanted to bind to ${at} in ${where}, and got EADDRINUSE. It has the port now: whoever had it before, or an earlier socket of its own, has let it go meanwhile. Nothing need be done.`,
      culprit: { kind: 'process', text: `${who} got port ${port} at another try`, pid: call.task.pid, port },
      evidence: [callLine(evidence, call)],
      remedies: [{ text: 'Nothing need be done.', risk: 'low' }],
    };
  }
  const has = process !== undefined ? processText(process) : taken === undefined ? 'another socket' : taken.state === 'time-wait' ? 'an ended connection (TIME_WAIT)' : 'another socket';
  return {
    outcome: 'found', confidence: taken === undefined ? 0.7 : 0.95, severity: 'warning', identity: `bind|${at}`,
    explanation: `${who} wanted to bind to ${at} in ${where}, and got EADDRINUSE. The port is taken by ${has}. Packets for it go there.`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text: `${has} has ${udp ? 'udp' : 'tcp'} port ${port}`, port, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }) },
    evidence: [callLine(evidence, call), ...(taken === undefined ? [] : [socketLine(taken)])],
    remedies: [taken?.state === 'time-wait' ? { text: `Let ${call.task.comm} set SO_REUSEADDR before bind().`, risk: 'low' } : { text: `Stop ${has}, or give ${call.task.comm} another port.`, risk: 'medium' }],
  };
}

export const cause: Cause = {
  id: 'socket.address-in-use',
  title: 'the address to bind to is taken',
  needs: ['sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'A program binds its socket to an address and port. EADDRINUSE: another socket has that port, or an ended connection still holds it and SO_REUSEADDR was not set.',
    signs: ['EADDRINUSE, "Address already in use"'],
    fixes: ['ss -lntup sport = :PORT names who has the port', 'SO_REUSEADDR in the program'],
    functions: ['__inet_bind', 'inet_csk_get_port', 'udp_lib_get_port', 'inet6_bind'],
    reasons: [],
    errnos: ['EADDRINUSE'],
    versions: [],
    sources: ['net/ipv4/af_inet.c', 'net/ipv4/inet_connection_sock.c', 'bind(2)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judge(symptom.call, evidence) : NOT_APPLICABLE),
};
