import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { nextHopOf, unresolved } from '../../evidence/network/nexthop.ts';
import { destinationOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import { endpoint } from '../../base/inet.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'tcp.no-answer',
  title: 'nobody answered the connection attempt',
  needs: ['link', 'address', 'route', 'route6', 'rule', 'rule6', 'neighbour'],
  knowledge: {
    what: 'The SYN left, also those sent again after one, three, seven seconds, and nothing came back: no SYN-ACK, no reset, no ICMP error. Here nothing of the connection was dropped. It is lost further on: dropped without a word by a firewall on the way or at the destination, sent to an address where nobody is, or the answer took a way that does not lead back.',
    signs: ['connect() ends with ETIMEDOUT after about two minutes, or the program gives up before ("Connection timed out")', '`ss -t state syn-sent` shows the attempt while it lasts', 'TcpExt TCPSynRetrans grows'],
    fixes: ['Watch on the destination, or on the next router: whydrop says there who drops it', 'Do other ports of that host answer? Then a firewall rule for this port is likely', 'Does the destination have a route back to the source address?'],
    functions: ['tcp_retransmit_timer', 'tcp_write_timeout', 'tcp_write_err'],
    reasons: [],
    errnos: ['ETIMEDOUT', 'EINPROGRESS'],
    versions: ['How often a SYN is sent again: net.ipv4.tcp_syn_retries, 6 times in 127 seconds; the first four at one-second intervals since 6.5 (tcp_syn_linear_timeouts)'],
    sources: ['net/ipv4/tcp_timer.c', 'net/ipv4/af_inet.c inet_sk_set_state', 'RFC 6298 section 2', 'tcp(7)'],
  },
  judge,
};

const TCP = 6, MPTCP = 262;

function judge(symptom: Parameters<Cause['judge']>[0], evidence: Parameters<Cause['judge']>[1]): Finding {
  if (symptom.kind !== 'call') return NOT_APPLICABLE;
  const { call } = symptom;
  const protocol = call.socket?.protocol;
  if (call.syscall !== 'connect' || (protocol !== TCP && protocol !== MPTCP)) return NOT_APPLICABLE;
  if (call.errno !== 'ETIMEDOUT' && !(call.errno === 'EINPROGRESS' && call.attempt !== undefined)) return NOT_APPLICABLE;
  const to = destinationOf(call);
  if (to === undefined) return NOT_APPLICABLE;
  const hop = nextHopOf(evidence, symptom);
  if (hop !== undefined && !isUnavailable(hop) && hop.device !== 'lo' && unresolved(hop.entry) && hop.entry !== undefined) return ruledOut(`the SYN has not left: the neighbour ${hop.address} on ${hop.device} does not answer`);

  const at = endpoint(to.address, to.port);
  const where = netnsText(evidence, call.netns);
  const known = hop === undefined || isUnavailable(hop) ? undefined : hop;
  const owner = findOwnerOfAddress(evidence, call.netns, to.address);
  const elsewhere = owner === undefined || isUnavailable(owner) || owner.netns === call.netns ? undefined : owner;
  const name = elsewhere === undefined ? undefined : evidence.host.netnsNames.get(elsewhere.netns);
  const way = known === undefined ? '' : ` through ${known.device}${known.gateway ? ` and the router ${known.address}` : ''}`;
  const { attempt } = call;
  const tries = attempt === undefined ? 'the SYN and its repetitions' : `${attempt.resent + 1} SYN${attempt.resent === 0 ? '' : 's'} in ${(Number(attempt.waited) / 1e9).toFixed(1)} s`;
  const end = call.errno === 'ETIMEDOUT' ? 'the kernel gave up (ETIMEDOUT)' : 'the program gave up';
  const further = known === undefined ? 'on the way' : known.gateway ? `at the router ${known.address}, behind it` : `beyond ${known.device}`;

  const lines: EvidenceLine[] = [{ ...callLine(evidence, call), text: `${tries} to ${at} by ${call.task.comm} (pid ${call.task.pid}), no answer; ${end}` }];
  if (known?.entry !== undefined) lines.push({ source: 'ip neigh', text: `${known.entry.address} dev ${known.entry.device}${known.entry.mac === undefined ? '' : ` lladdr ${known.entry.mac}`} ${known.entry.states.join(',')}` });
  if (elsewhere !== undefined) lines.push({ source: 'ip address', text: `${to.address} is on ${elsewhere.address.device} in ${netnsText(evidence, elsewhere.netns)}` });
  const remedies: Remedy[] = [
    elsewhere === undefined
      ? { text: `Watch on ${to.address}${known?.gateway === true ? ` or on the router ${known.address}` : ''} (whydrop watch) while ${call.task.comm} tries again: where the SYN arrives and is dropped, the rule is named.`, risk: 'low' }
      : { text: `${to.address} is in ${netnsText(evidence, elsewhere.netns)} on this host: watch there while ${call.task.comm} tries again (whydrop watch --netns ${name ?? `/proc/PID/ns/net, net:[${elsewhere.netns}]`}).`, risk: 'low' },
    { text: `Make sure that something listens on ${at}, and that ${to.address} has a route back to ${call.socket?.local === undefined ? 'here' : call.socket.local.replace(/:\d+$/, '')}.`, risk: 'low' },
  ];
  return {
    outcome: 'found',
    confidence: 0.7,
    severity: 'warning',
    identity: at,
    explanation: `${call.task.comm} (pid ${call.task.pid}) in ${where} sent ${tries} to ${at}${way}, and ${end}. Nothing came back: no SYN-ACK, no reset, no ICMP error; and nothing of this connection was seen to be dropped here. It is lost ${further} or at ${to.address} itself, or the answer does not find its way back.`,
    culprit: { kind: 'peer', text: `${at} does not answer`, address: to.address, ...(to.port === undefined ? {} : { port: to.port }), ...(known === undefined ? {} : { device: known.device, nexthop: known.address }) },
    evidence: lines,
    remedies,
  };
}
