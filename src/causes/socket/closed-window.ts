import { endpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { hindranceOf, hindranceRemedy } from '../../evidence/process/state.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { socketLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { bothFamilies } from '../../evidence/socket/table.ts';
import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, ProcessIdentity, Remedy } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import type { CounterSymptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/**
 * A TCP receive window that stays closed: the connection stands still because a program does not read. Seen where it is
 * not read (TCPToZeroWindowAdv rose, TCPFromZeroWindowAdv did not), or where it is sent from (TCPWinProbe rises).
 */
export function judgeClosedWindow(symptom: CounterSymptom, evidence: Evidence): Finding {
  const reading = symptom.counter.endsWith('TCPToZeroWindowAdv');
  const list = bothFamilies(evidence, symptom.netns, 'tcp');
  if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the listing of TCP sockets (ss -tm)');
  if (reading) {
    const unread = fullest(list);
    return unread === undefined ? ruledOut('every TCP socket that is open now has room in its receive buffer') : found(symptom, evidence, symptom.netns, unread, undefined);
  }
  const sender = list.filter((s) => s.probing === true && s.sendQueue > 0).sort((a, b) => b.sendQueue - a.sendQueue)[0];
  if (sender === undefined) return ruledOut('no TCP socket that is open now waits for a closed window');
  const remote = plainAddress(sender.remote);
  const owner = findOwnerOfAddress(evidence, symptom.netns, remote);
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
  if (owner !== undefined && !isUnavailable(owner)) {
    const theirs = bothFamilies(evidence, owner.netns, 'tcp');
    if (isUnavailable(theirs)) {
      if (theirs.unavailable === 'pending') return cannotTell(unavailableText(theirs), 'the TCP sockets of the other end');
    } else {
      const other = theirs.find((s) => s.localPort === sender.remotePort && s.remotePort === sender.localPort && plainAddress(s.local) === remote && plainAddress(s.remote) === plainAddress(sender.local));
      if (other !== undefined) return found(symptom, evidence, owner.netns, other, sender);
    }
  }
  return farAway(symptom, evidence, sender);
}

/** The socket with least room; a window is closed when less than a segment or half the buffer is left. */
function fullest(list: readonly Socket[]): Socket | undefined {
  const share = (s: Socket): number => (s.memory === undefined || s.memory.receiveBuffer === 0 ? 0 : s.memory.receiveAllocated / s.memory.receiveBuffer);
  return list.filter((s) => s.remotePort !== 0 && s.receiveQueue > 0 && share(s) >= 0.5).sort((a, b) => share(b) - share(a))[0];
}

const at = (s: Socket): string => `tcp ${endpoint(plainAddress(s.local), s.localPort)}`;
const peer = (s: Socket): string => endpoint(plainAddress(s.remote), s.remotePort);

/** The end that does not read is known. */
function found(symptom: CounterSymptom, evidence: Evidence, netns: Netns, unread: Socket, sender: Socket | undefined): Finding {
  const holder = unread.inode === 0 ? undefined : holderOf(evidence, unread.inode);
  if (holder !== undefined && isUnavailable(holder) && holder.unavailable === 'pending') return cannotTell(unavailableText(holder), 'the process that holds the socket');
  const process: ProcessIdentity | undefined = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const hindrance = process === undefined ? undefined : hindranceOf(evidence, process.pid);
  const where = netnsText(evidence, netns);
  const who = process === undefined ? unread.inode === 0 ? 'nobody: the connection was never accepted' : 'the program' : processText(process);
  const short = process === undefined ? 'The program' : processName(process);
  const waits = `${unread.receiveQueue} bytes wait unread${unread.memory === undefined ? '' : `, its receive buffer of ${unread.memory.receiveBuffer} bytes is full`}`;
  const state = hindrance === undefined ? 'does not read' : `is ${hindrance === 'traced' ? 'stopped by a debugger' : 'stopped'} and does not read`;
  const remedies: Remedy[] = [];
  if (process !== undefined && hindrance !== undefined) remedies.push(hindranceRemedy(process, hindrance));
  else remedies.push({ text: `Let ${process?.comm ?? 'the program'} read its socket: see what it waits for (/proc/${process?.pid ?? 'PID'}/stack, a debugger), or restart it. A larger buffer only puts it off.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: process === undefined ? 0.9 : 0.96,
    severity: 'warning',
    identity: `window|${at(unread)}|${peer(unread)}`,
    explanation: `The TCP connection ${peer(unread)} → ${endpoint(plainAddress(unread.local), unread.localPort)} stands still: ${short} in ${where} ${state}, ${waits}, and so its window is closed (zero window). The sender ${peer(unread)} may send nothing${sender === undefined ? '' : ` and keeps ${sender.sendQueue} bytes back`}; nothing is dropped, and it waits until its own time-out.`,
    culprit: { kind: process === undefined ? 'socket' : 'process', text: `${who} ${state} ${at(unread)} from ${peer(unread)}: Recv-Q ${unread.receiveQueue}`, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), socket: at(unread), receiveQueue: unread.receiveQueue, ...(unread.memory === undefined ? {} : { receiveBuffer: unread.memory.receiveBuffer }) },
    evidence: [counterLine(symptom, evidence), socketLine(unread), ...(sender === undefined ? [] : [socketLine(sender)]), ...(hindrance === undefined || process === undefined ? [] : [{ source: `/proc/${process.pid}/stat`, text: `${process.comm} is ${hindrance}` }])],
    remedies,
  };
}

/** Only the sending end is on this host. */
function farAway(symptom: CounterSymptom, evidence: Evidence, sender: Socket): Finding {
  const holder = sender.inode === 0 ? undefined : holderOf(evidence, sender.inode);
  const mine = holder === undefined || isUnavailable(holder) ? 'a program here' : processText(holder);
  return {
    outcome: 'found',
    confidence: 0.9,
    severity: 'warning',
    identity: `window|${peer(sender)}`,
    explanation: `The TCP connection of ${mine} to ${peer(sender)} in ${netnsText(evidence, symptom.netns)} stands still: the other side keeps its receive window closed (zero window), so ${sender.sendQueue} bytes wait here to be sent. The program at ${peer(sender)} does not read what it was sent; it is stopped, hangs or is overloaded. Nothing is dropped: the kernel asks again and again whether the window is open.`,
    culprit: { kind: 'peer', text: `the program at ${peer(sender)} does not read: its window is closed, Send-Q ${sender.sendQueue} here`, address: plainAddress(sender.remote), port: sender.remotePort, sendQueue: sender.sendQueue },
    evidence: [counterLine(symptom, evidence), socketLine(sender)],
    remedies: [{ text: `Look at ${plainAddress(sender.remote)}: ss -tnp sport = :${sender.remotePort} there shows a large Recv-Q and the program that does not read; let it go on or restart it.`, risk: 'low' }],
  };
}

const counterLine = (symptom: CounterSymptom, evidence: Evidence): EvidenceLine =>
  ({ source: '/proc/net/netstat', time: evidence.iso(symptom.first), text: symptom.counter.endsWith('TCPWinProbe') ? `TCPWinProbe +${symptom.after - symptom.before}: windows of the other side were asked for` : `TCPToZeroWindowAdv rose by ${symptom.after - symptom.before} more than TCPFromZeroWindowAdv: that many windows were closed and not opened again` });
