import { netnsText } from '../../evidence/netns.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine, socketLine } from '../../evidence/socket/lines.ts';
import { holderOf, receiverProcess, receiverSocket } from '../../evidence/socket/owner.ts';
import { lastSysctl } from '../../evidence/network/sysctl.ts';
import { bothFamilies, socketText } from '../../evidence/socket/table.ts';
import { hindranceOf, hindranceRemedy } from '../../evidence/process/state.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { judgeClosedWindow } from './closed-window.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, type Finding, type Found } from '../../model/finding.ts';
import type { EvidenceLine, ProcessIdentity, Remedy } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import type { CounterSymptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText, type Maybe } from '../../model/unavailable.ts';

/** What is known of the socket whose buffer is full. */
interface Full {
  readonly netns: DropEvent['netns'];
  readonly kind: string;
  readonly at: string;
  readonly used?: number;
  readonly size?: number;
  readonly dropped?: number;
  readonly process: Maybe<ProcessIdentity>;
  readonly lines: readonly EvidenceLine[];
}

function judgeDrop(drop: DropEvent, evidence: Evidence): Finding {
  const { ip, transport } = drop.packet;
  const reason = drop.reason.name;
  if (reason === 'PROTO_MEM') return protocolMemory(drop, evidence);
  const old = reason === 'NOT_SPECIFIED' && /^(?:sock_queue_rcv_skb_reason|packet_rcv|tpacket_rcv)$/.test(drop.place.name ?? '');
  if (reason !== 'SOCKET_RCVBUFF' && reason !== 'TCP_ZEROWINDOW' && !old) return NOT_APPLICABLE;
  const socket = receiverSocket(evidence, drop);
  const process = receiverProcess(evidence, drop);
  if (isUnavailable(socket) && socket.unavailable === 'pending') return cannotTell(unavailableText(socket), 'the listing of sockets');
  const known = isUnavailable(socket) ? undefined : socket;
  const port = transport !== undefined && 'destinationPort' in transport ? transport.destinationPort : undefined;
  const kind = known?.kind ?? (transport === undefined || transport.kind === 'other' ? 'raw' : transport.kind);
  const at = known !== undefined && known.localPort !== 0 ? socketText(known) : port === undefined ? (ip?.destination ?? 'a raw socket') : `${plainAddress(ip?.destination ?? '')}:${port}`;
  const used = known?.memory?.receiveAllocated ?? drop.receiver?.receiveQueued;
  const size = known?.memory?.receiveBuffer ?? drop.receiver?.receiveBuffer;
  return verdict(evidence, {
    netns: drop.netns, kind, at, process,
    ...(used === undefined ? undefined : { used }), ...(size === undefined ? undefined : { size }),
    ...(known?.memory === undefined ? undefined : { dropped: known.memory.drops }),
    lines: [dropLine(evidence, drop), ...(known === undefined ? [] : [socketLine(known)])],
  }, reason === 'TCP_ZEROWINDOW' ? 'window' : 'buffer');
}

/** RcvbufErrors moved and nobody saw the drops: the socket that counts drops of its own. */
function judgeCounter(symptom: CounterSymptom, evidence: Evidence): Finding {
  if (/ TCP(?:ToZeroWindowAdv|WinProbe)$/.test(symptom.counter)) return judgeClosedWindow(symptom, evidence);
  if (!/\bUdp6? ?\w*RcvbufErrors$/.test(symptom.counter)) return NOT_APPLICABLE;
  const list = bothFamilies(evidence, symptom.netns, 'udp');
  if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the listing of UDP sockets');
  const worst = mostDrops(list);
  if (worst === undefined) return cannotTell('no UDP socket that is open now counts drops', 'looking again while the loss goes on');
  const process: Maybe<ProcessIdentity> = worst.inode === 0 ? { unavailable: 'missing', what: 'looking for the process', why: 'no process holds the socket' } : holderOf(evidence, worst.inode);
  return verdict(evidence, {
    netns: symptom.netns, kind: 'udp', at: socketText(worst), process,
    ...(worst.memory === undefined ? undefined : { used: worst.memory.receiveAllocated, size: worst.memory.receiveBuffer, dropped: worst.memory.drops }),
    lines: [{ source: '/proc/net/snmp', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` }, socketLine(worst)],
  }, 'buffer');
}

export function mostDrops(list: readonly Socket[]): Socket | undefined {
  let worst: Socket | undefined;
  for (const s of list) if ((s.memory?.drops ?? 0) > (worst?.memory?.drops ?? 0)) worst = s;
  return worst;
}

function verdict(evidence: Evidence, full: Full, how: 'buffer' | 'window'): Finding {
  const defaultSize = lastSysctl(evidence, full.netns, 'net/core/rmem_default') ?? lastSysctl(evidence, evidence.host.home, 'net/core/rmem_default');
  const largest = lastSysctl(evidence, full.netns, 'net/core/rmem_max');
  const process = isUnavailable(full.process) ? undefined : full.process;
  const hindrance = process === undefined ? undefined : hindranceOf(evidence, process.pid);
  if (how === 'window' && hindrance === undefined) return NOT_APPLICABLE; // a sender's probe of a closed window is how TCP works
  const who = process === undefined ? 'the program' : processText(process);
  const short = process === undefined ? 'The program' : processName(process);
  const where = netnsText(evidence, full.netns);
  const remedies: Remedy[] = [];
  const chosen = full.size !== undefined && defaultSize !== undefined && full.size !== defaultSize;
  const wish = Math.max(4 * 1024 * 1024, (full.size ?? 0) * 4);
  if (process !== undefined && hindrance !== undefined) remedies.push(hindranceRemedy(process, hindrance));
  else {
    if (chosen || full.size === undefined) {
      remedies.push({ text: `Raise SO_RCVBUF in the configuration of ${process?.comm ?? 'the program'} for ${full.kind} ${full.at}${full.size === undefined ? '' : `: it has asked for ${Math.floor(full.size / 2)} bytes (the kernel doubles that to ${full.size})`}.`, risk: 'low' });
      if (largest !== undefined && full.size !== undefined && full.size >= largest * 2) remedies.push({ text: `net.core.rmem_max caps what it may ask for at ${largest} bytes.`, command: `sysctl -w net.core.rmem_max=${wish}`, undo: `sysctl -w net.core.rmem_max=${largest}`, risk: 'low' });
    } else {
      remedies.push({ text: `Let ${process?.comm ?? 'the program'} ask for a larger SO_RCVBUF: it has never set one and has the default of ${full.size} bytes.`, risk: 'low' });
      remedies.push({ text: `Or raise the default for sockets made from now on, then restart ${process?.comm ?? 'the program'}.`, command: `sysctl -w net.core.rmem_default=${wish}`, ...(defaultSize === undefined ? {} : { undo: `sysctl -w net.core.rmem_default=${defaultSize}` }), risk: 'low' });
    }
    remedies.push({ text: `Let ${process?.comm ?? 'the program'} read faster: more threads or sockets (SO_REUSEPORT), less work for each packet.`, risk: 'low' });
  }
  const buffer = full.size === undefined ? '' : `; its receive buffer is ${full.size} bytes`;
  const text = hindrance === undefined
    ? `${who} reads ${full.kind} ${full.at} too slowly${buffer}`
    : `${who} is ${hindrance === 'traced' ? 'stopped by a debugger' : 'stopped'} and does not read ${full.kind} ${full.at}${buffer}`;
  const queue = full.used !== undefined && full.size !== undefined ? ` ${full.used} of ${full.size} bytes are taken now${full.dropped === undefined || full.dropped === 0 ? '' : `, and this socket has dropped ${full.dropped} packets since it was opened`}.` : '';
  const result: Found = {
    outcome: 'found',
    confidence: process === undefined ? 0.9 : 0.97,
    severity: 'warning',
    identity: `${full.kind}|${full.at}`,
    explanation: `The receive buffer of ${full.kind} socket ${full.at} in ${where} was full when packets arrived, and the kernel dropped them.${queue} ${hindrance === undefined ? `${short} reads too slowly for such bursts, or its buffer is too small${chosen && full.size !== undefined ? ' (the size was set by the program itself)' : ''}.` : `${short} cannot read at all, because it is ${hindrance === 'traced' ? 'stopped by a debugger' : 'stopped'}.`}`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), socket: full.at, receiveBuffer: full.size },
    evidence: [
      ...full.lines,
      ...(hindrance === undefined || process === undefined ? [] : [{ source: `/proc/${process.pid}/stat`, text: `${process.comm} is ${hindrance}` }]),
      ...(defaultSize === undefined ? [] : [{ source: 'sysctl', text: `net.core.rmem_default = ${defaultSize}${largest === undefined ? '' : `, net.core.rmem_max = ${largest}`}` }]),
    ],
    remedies,
  };
  return result;
}

/** All sockets of a protocol together hold too much. */
function protocolMemory(drop: DropEvent, evidence: Evidence): Finding {
  const tcp = drop.packet.transport?.kind === 'tcp';
  const name = tcp ? 'net.ipv4.tcp_mem' : 'net.ipv4.udp_mem';
  const limit = lastSysctl(evidence, evidence.host.home, name.replaceAll('.', '/'));
  return {
    outcome: 'found',
    confidence: 0.9,
    severity: 'warning',
    identity: name,
    explanation: `All ${tcp ? 'TCP' : 'UDP'} sockets of this host together hold as much memory as ${name} allows, so a packet was dropped at a socket in ${netnsText(evidence, drop.netns)}. The limit counts for the whole host. Usually one program that does not read holds most of it.`,
    culprit: { kind: 'sysctl', text: `${name}${limit === undefined ? '' : ` (low mark ${limit} pages)`}`, sysctl: name },
    evidence: [dropLine(evidence, drop)],
    remedies: [{ text: 'Find the sockets that hold the memory (ss -uamp, ss -tamp: r is what is unread) and let their programs read.', risk: 'low' }, { text: `Raise ${name} (three numbers, in pages of 4 KiB).`, risk: 'medium' }],
  };
}

export const cause: Cause = {
  id: 'socket.rcvbuf-full',
  title: 'the receive buffer of a socket was full',
  needs: ['sockets', 'socket-owner', 'process', 'sysctl', 'address'],
  knowledge: {
    what: 'Every socket has a receive buffer. When packets arrive faster than the program reads them, or the program does not read at all because it is stopped or hangs, the buffer fills and further packets are dropped. The buffer counts the memory that packets take, not their payload: a packet of 40 bytes takes some 800. For UDP the sender is told nothing. For TCP nothing is dropped: the window closes, and the connection stands still until the program reads.',
    signs: ['drop reason SOCKET_RCVBUFF at udp_queue_rcv_one_skb', 'RcvbufErrors in /proc/net/snmp', 'd in the skmem column of ss -uam', 'TCP: TCPToZeroWindowAdv without TCPFromZeroWindowAdv, a Recv-Q that stays; at the sender TCPWinProbe and timer:(persist…) in ss -to'],
    fixes: ['kill -CONT PID for a stopped process', 'a larger SO_RCVBUF in the program, up to net.core.rmem_max', 'net.core.rmem_default for programs that set none', 'more readers with SO_REUSEPORT'],
    functions: ['udp_queue_rcv_one_skb', '__udp_enqueue_schedule_skb', 'sock_queue_rcv_skb_reason', 'packet_rcv', 'tpacket_rcv'],
    reasons: ['SOCKET_RCVBUFF', 'PROTO_MEM', 'TCP_ZEROWINDOW'],
    errnos: [],
    versions: ['net.core.rmem_max and rmem_default can be read in every network namespace since 6.11; they count for the whole host and are set in the first one only'],
    sources: ['net/ipv4/udp.c', 'net/core/sock.c', 'socket(7)'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind === 'drop') return judgeDrop(symptom.drop, evidence);
    return symptom.kind === 'counter' ? judgeCounter(symptom, evidence) : NOT_APPLICABLE;
  },
};
