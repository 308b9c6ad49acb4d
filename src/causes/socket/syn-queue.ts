import { netnsText, inNetns } from '../../evidence/netns.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { lastSysctl } from '../../evidence/network/sysctl.ts';
import { bothFamilies, socketText } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import type { CounterSymptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/**
 * SYNs that were dropped because too many handshakes are open (tcp_conn_request, net/ipv4/tcp_input.c 6.18): their number
 * has reached the listener's backlog (TCPReqQFullDrop), or, without SYN cookies, three quarters of tcp_max_syn_backlog
 * (ListenDrops alone). No drop event tells of either.
 */
export function judgeSynQueue(symptom: CounterSymptom, evidence: Evidence): Finding {
  const full = symptom.counter.endsWith('TCPReqQFullDrop');
  const list = bothFamilies(evidence, symptom.netns, 'tcp');
  const cookies = lastSysctl(evidence, symptom.netns, 'net/ipv4/tcp_syncookies');
  const most = lastSysctl(evidence, symptom.netns, 'net/ipv4/tcp_max_syn_backlog');
  if (isUnavailable(list)) return cannotTell(unavailableText(list), 'the open handshakes (ss -tn state syn-recv)');
  const open = list.filter((s) => s.state === 'syn-recv' || s.state === 'new-syn-recv');
  const busiest = busiestListener(list, open);
  const enough = busiest !== undefined && (busiest.waiting >= busiest.listener.sendQueue || (most !== undefined && cookies === 0 && busiest.waiting >= most - (most >> 2)));
  if (!full && !enough) return ruledOut(`${open.length} handshakes are open, too few to fill a queue`);
  const where = netnsText(evidence, symptom.netns);
  const holder = busiest === undefined || busiest.listener.inode === 0 ? undefined : holderOf(evidence, busiest.listener.inode);
  const process = holder === undefined || isUnavailable(holder) ? undefined : holder;
  const at = busiest === undefined ? 'a listener' : `tcp ${socketText(busiest.listener)}`;
  const who = process === undefined ? '' : ` (${processText(process)})`;
  const waits = busiest === undefined ? '' : `, ${busiest.waiting} wait for the last packet of the handshake now; the listener's backlog is ${busiest.listener.sendQueue}${most === undefined ? '' : `, net.ipv4.tcp_max_syn_backlog is ${most}`}`;
  const remedies: Remedy[] = [];
  if (cookies === 0) remedies.push({ text: 'Allow SYN cookies: then a full queue turns nobody away.', command: inNetns(evidence, symptom.netns, 'sysctl -w net.ipv4.tcp_syncookies=1'), undo: inNetns(evidence, symptom.netns, 'sysctl -w net.ipv4.tcp_syncookies=0'), risk: 'low' });
  remedies.push({ text: `Raise the backlog of ${process?.comm ?? 'the service'}, net.core.somaxconn and net.ipv4.tcp_max_syn_backlog; see who opens the handshakes and never ends them (ss -tn state syn-recv).`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: enough ? 0.95 : 0.9,
    severity: 'warning',
    identity: `syn queue|${at}`,
    explanation: `Connection attempts (SYN) to ${at}${who} in ${where} were dropped, because too many handshakes are open (SYN queue full)${waits}. ${cookies === 0 ? 'SYN cookies, which help against that, are switched off (net.ipv4.tcp_syncookies = 0). ' : ''}Clients that never answer the SYN-ACK (a SYN flood, or answers that get lost) fill it.`,
    culprit: cookies === 0
      ? { kind: 'sysctl', text: `net.ipv4.tcp_syncookies = 0 in ${where}, with the SYN queue of ${at}${who} full`, name: 'net.ipv4.tcp_syncookies', value: 0, socket: at }
      : { kind: 'socket', text: `the SYN queue of ${at}${who}`, socket: at, waiting: busiest?.waiting },
    evidence: [
      { source: '/proc/net/netstat', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` },
      ...(busiest === undefined ? [] : [{ source: 'sock_diag', text: `${busiest.waiting} sockets in state syn-recv on port ${busiest.listener.localPort}` }]),
      { source: 'sysctl', text: `net.ipv4.tcp_syncookies = ${cookies ?? '?'}, net.ipv4.tcp_max_syn_backlog = ${most ?? '?'}` },
    ],
    remedies,
  };
}

function busiestListener(list: readonly Socket[], open: readonly Socket[]): { readonly listener: Socket; readonly waiting: number } | undefined {
  const perPort = new Map<number, number>();
  for (const s of open) perPort.set(s.localPort, (perPort.get(s.localPort) ?? 0) + 1);
  const [port, waiting] = [...perPort].sort((a, b) => b[1] - a[1])[0] ?? [];
  const listener = list.find((s) => s.state === 'listen' && s.localPort === port);
  return listener === undefined || waiting === undefined ? undefined : { listener, waiting };
}
