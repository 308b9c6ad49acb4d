import { endpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import { manglerRemedy, manglers } from '../../evidence/socket/manglers.ts';
import { receiverProcess } from '../../evidence/socket/owner.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy, Severity } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

interface Fault {
  readonly severity: Severity;
  /** What is wrong, after "the segment". */
  readonly what: string;
  /** The part of the packet that a rule would have to change for it. */
  readonly part: RegExp;
  readonly word: string;
  readonly advice: string;
}

const STAMP = /timestamp|tsval|tsecr|tcp option|@th|TCPOPTSTRIP/i;
const SEQUENCE = /tcp (?:sequence|ackseq|window|flags|option)|@th|synproxy|SYNPROXY/i;

const FAULTS: Readonly<Record<string, Fault>> = {
  TCP_RFC7323_PAWS: { severity: 'warning', what: 'carries a TCP timestamp older than one that came before (PAWS, RFC 7323)', part: STAMP, word: 'timestamp', advice: 'Find what rewrites TCP timestamps between the hosts (a load balancer, a NAT that several hosts with different clocks share, a firewall that normalises), or turn timestamps off for such peers.' },
  TCP_RFC7323_TSECR: { severity: 'warning', what: 'echoes a TCP timestamp that was never sent', part: STAMP, word: 'timestamp', advice: 'Find what rewrites TCP timestamps between the hosts.' },
  TCP_RFC7323_TW_PAWS: { severity: 'warning', what: 'opens a connection with a TCP timestamp older than that of the connection before, which is in time-wait', part: STAMP, word: 'timestamp', advice: 'Several hosts behind one NAT address have different timestamp clocks: leave tcp_timestamps at 1 (random offsets per destination) on them and do not use tcp_tw_recycle.' },
  TCP_FLAGS: { severity: 'warning', what: 'has a combination of TCP flags that makes no sense in this state', part: SEQUENCE, word: 'flags', advice: 'Look who makes such segments: a scanner, or a middlebox that rewrites them.' },
  TCP_INVALID_SEQUENCE: { severity: 'warning', what: 'has a sequence number outside of the receive window', part: SEQUENCE, word: 'sequence number', advice: 'Find what rewrites sequence numbers between the hosts on one direction only, or whether a rebooted peer goes on with an old connection.' },
  TCP_INVALID_END_SEQUENCE: { severity: 'warning', what: 'ends outside of the receive window', part: SEQUENCE, word: 'sequence number', advice: 'Find what rewrites sequence numbers or windows between the hosts.' },
  TCP_INVALID_ACK_SEQUENCE: { severity: 'warning', what: 'acknowledges what was never sent', part: SEQUENCE, word: 'acknowledgement number', advice: 'Find what rewrites acknowledgement numbers between the hosts, or whether two hosts have one address.' },
  TCP_ACK_UNSENT_DATA: { severity: 'warning', what: 'acknowledges data that was not sent yet', part: SEQUENCE, word: 'acknowledgement number', advice: 'Find what rewrites acknowledgement numbers between the hosts.' },
  TCP_OVERWINDOW: { severity: 'warning', what: 'carries data beyond the receive window', part: SEQUENCE, word: 'window', advice: 'The sender ignores the window, or something changes the window field or the window scale option on the way.' },
  TCP_INVALID_SYN: { severity: 'info', what: 'is a SYN inside an established connection', part: SEQUENCE, word: 'SYN', advice: 'The peer has restarted, or uses the port again; the connection is resolved by a challenge ACK.' },
  TCP_FASTOPEN: { severity: 'info', what: 'repeats data of a TCP Fast Open request', part: SEQUENCE, word: 'fast open', advice: 'Nothing need be done.' },
};
/** Duplicates and late copies: part of how TCP works. */
const DUPLICATES = new Set(['TCP_OLD_DATA', 'TCP_OLD_SEQUENCE', 'TCP_OLD_ACK', 'TCP_TOO_OLD_ACK', 'TCP_OFOMERGE', 'TCP_OFO_QUEUE_PRUNE', 'TCP_OFO_DROP', 'TCP_RFC7323_PAWS_ACK']);

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  const reason = drop.reason.name;
  const { ip, transport } = drop.packet;
  const where = netnsText(evidence, drop.netns);
  const tcp = transport?.kind === 'tcp' ? transport : undefined;
  const to = endpoint(plainAddress(ip?.destination ?? '?'), tcp?.destinationPort);
  const from = endpoint(plainAddress(ip?.source ?? '?'), tcp?.sourcePort);
  if (DUPLICATES.has(reason)) {
    return {
      outcome: 'found', confidence: 0.9, severity: 'info', identity: 'duplicate',
      explanation: `A TCP segment from ${from} to ${to} repeats what had arrived in ${where} before, or came too late. The kernel throws such copies away. A few are normal; many mean that acknowledgements get lost, or that delays on the path vary.`,
      culprit: { kind: 'peer', text: `a repeated segment from ${from}` },
      evidence: [dropLine(evidence, drop)],
      remedies: [{ text: 'Nothing need be done, unless retransmissions are many (nstat TcpRetransSegs): then look for loss in the other direction.', risk: 'low' }],
    };
  }
  const fault = FAULTS[reason];
  if (fault === undefined) return NOT_APPLICABLE;
  const port = tcp === undefined ? undefined : Math.min(tcp.sourcePort, tcp.destinationPort);
  const rules = fault.severity === 'info' ? [] : manglers(evidence, drop.netns, fault.part, port);
  const owner = receiverProcess(evidence, drop);
  const process = isUnavailable(owner) ? undefined : processText(owner);
  const rule = isUnavailable(rules) ? undefined : rules[0];
  const lines: EvidenceLine[] = [dropLine(evidence, drop)];
  if (tcp?.timestamp !== undefined) lines.push({ source: 'packet', text: `TCP timestamp ${tcp.timestamp}, sequence ${tcp.sequence}, acknowledgement ${tcp.acknowledgement}` });
  const remedies: Remedy[] = [];
  if (rule !== undefined) {
    lines.push({ source: rule.table.tool === 'nft' ? 'nft -j list ruleset' : `${rule.table.tool}-save`, text: rule.text });
    remedies.push(manglerRemedy(evidence, drop.netns, rule));
  }
  remedies.push({ text: fault.advice, risk: 'low' });
  return {
    outcome: 'found',
    confidence: rule === undefined ? 0.9 : 0.96,
    severity: fault.severity,
    identity: `${reason}|${endpoint(plainAddress(ip?.destination ?? '?'), port)}`,
    explanation: `TCP dropped segments from ${from} to ${to}${process === undefined ? '' : ` (${process})`} in ${where}: the segment ${fault.what}. The connection stays open, but this data does not get through, so it stalls. ${rule === undefined ? (isUnavailable(rules) ? 'Whether a firewall rule here changes such packets could not be read.' : `No firewall rule in ${where} changes the ${fault.word}; it was wrong when the packet came.`) : `A firewall rule here changes the ${fault.word} of these packets: ${rule.text}.`}`,
    culprit: rule === undefined
      ? { kind: 'peer', text: `segments from ${from} with a wrong ${fault.word}`, peer: from, part: fault.word }
      : { kind: 'rule', text: `${rule.text} (changes the TCP ${fault.word})`, table: `${rule.table.family} ${rule.table.name}`, chain: rule.rule.chain, handle: rule.rule.handle, part: fault.word },
    evidence: lines,
    remedies,
  };
}

export const cause: Cause = {
  id: 'tcp.invalid-segment',
  title: 'TCP refused the segment',
  needs: ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ipset', 'sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'A segment belongs to an open connection, and TCP refuses it: its timestamp runs backwards (PAWS), its sequence number lies outside of the window, it acknowledges what was never sent, or its flags make no sense. The sender repeats it, and if each copy is refused the connection stalls. Usually a middlebox or rule rewrites packets, or several hosts share one address. Repeated segments are refused too, and are normal.',
    signs: ['drop reasons TCP_RFC7323_PAWS, TCP_INVALID_SEQUENCE, TCP_OVERWINDOW, TCP_FLAGS… at tcp_validate_incoming, tcp_rcv_established, tcp_data_queue, tcp_ack', 'PAWSEstab, TCPACKSkippedSeq, TCPChallengeACK in TcpExt of /proc/net/netstat'],
    fixes: ['the rule or middlebox that rewrites TCP', 'sysctl net.ipv4.tcp_timestamps', 'one address for one host'],
    functions: ['tcp_validate_incoming', 'tcp_rcv_established', 'tcp_data_queue', 'tcp_ack', 'tcp_rcv_state_process', 'tcp_timewait_state_process'],
    reasons: [...Object.keys(FAULTS), ...DUPLICATES],
    errnos: ['ETIMEDOUT'],
    versions: ['The reasons exist since Linux 5.18 and 6.3; TCP_RFC7323_TSECR, TW_PAWS and PAWS_ACK since 6.14'],
    sources: ['net/ipv4/tcp_input.c', 'RFC 7323 section 5', 'RFC 9293 section 3.10.7'],
  },
  judge,
};
