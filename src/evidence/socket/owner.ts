import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { ProcessIdentity } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { holdersOf, identityOf } from '../process/facts.ts';
import { plainAddress } from './flow.ts';
import { bothFamilies, receiverOf } from './table.ts';

/**
 * Whose packet or call it was. In this order: the task of the failed call; the task that was sending when the packet
 * died in its own context; the process that holds the packet's socket; the process whose socket was to receive it.
 * A task interrupted by softirq is never taken for the owner.
 */
export function ownerOf(evidence: Evidence, symptom: Symptom): Maybe<ProcessIdentity> {
  switch (symptom.kind) {
    case 'call':
      return identityOf(evidence, symptom.call.task.pid, symptom.call.task.comm);
    case 'log':
      return identityOf(evidence, symptom.pid);
    case 'counter':
      return { unavailable: 'missing', what: 'looking for the process behind a counter', why: 'a counter does not say whose packets it counts' };
    case 'drop': {
      if (symptom.call !== undefined) return identityOf(evidence, symptom.call.task.pid, symptom.call.task.comm);
      const { drop } = symptom;
      if (sentInOwnContext(drop)) return identityOf(evidence, drop.task.pid, drop.task.comm);
      const inode = drop.socket?.inode ?? 0;
      if (inode !== 0) {
        const holder = holderOf(evidence, inode);
        if (!isUnavailable(holder) || holder.unavailable === 'pending') return holder;
      }
      return receiverProcess(evidence, drop);
    }
  }
}

/**
 * The process that is to receive a dropped packet, by the kernel's word (`rx_sk`) or by looking its socket up. Once
 * found it is remembered: when the loss is looked at again, the process may have ended.
 */
export function receiverProcess(evidence: Evidence, drop: DropEvent): Maybe<ProcessIdentity> {
  return remembered(evidence, `receiver process ${receiverKey(drop)}`, findReceiver(evidence, drop));
}

/** The last known value stands in for one that is there no more. */
function remembered<T extends object>(evidence: Evidence, key: string, value: Maybe<T>): Maybe<T> {
  if (!isUnavailable(value)) {
    evidence.memo.set(key, value);
    return value;
  }
  if (value.unavailable === 'pending') return value;
  return (evidence.memo.get(key) as T | undefined) ?? value;
}

function receiverKey(drop: DropEvent): string {
  const { ip, transport } = drop.packet;
  const port = transport !== undefined && 'destinationPort' in transport ? transport.destinationPort : '';
  return `${drop.netns}|${transport?.kind ?? ''}|${ip?.destination ?? ''}|${port}`;
}

function findReceiver(evidence: Evidence, drop: DropEvent): Maybe<ProcessIdentity> {
  const inode = drop.receiver?.inode ?? 0;
  if (inode !== 0) {
    const holder = holderOf(evidence, inode);
    if (!isUnavailable(holder) || holder.unavailable === 'pending') return holder;
  }
  const socket = receiverSocket(evidence, drop);
  if (isUnavailable(socket)) return socket;
  if (socket.inode === 0) return { unavailable: 'missing', what: 'looking for the receiving process', why: 'no process holds the socket' };
  return holderOf(evidence, socket.inode);
}

/** The socket that is to receive a dropped packet, with its buffers as sock_diag tells them. */
export function receiverSocket(evidence: Evidence, drop: DropEvent): Maybe<Socket> {
  return remembered(evidence, `receiver socket ${receiverKey(drop)}`, findSocket(evidence, drop));
}

function findSocket(evidence: Evidence, drop: DropEvent): Maybe<Socket> {
  const { ip, transport } = drop.packet;
  const none = (why: string): Maybe<Socket> => ({ unavailable: 'missing', what: 'looking for the receiving socket', why });
  if (ip === undefined || transport === undefined || (transport.kind !== 'udp' && transport.kind !== 'tcp')) return none('the packet has no port');
  const list = bothFamilies(evidence, drop.netns, transport.kind);
  if (isUnavailable(list)) return list;
  const inode = drop.receiver?.inode ?? 0;
  const known = inode === 0 ? undefined : list.find((s) => s.inode === inode);
  const found = known ?? receiverOf(list, { source: plainAddress(ip.source), sourcePort: transport.sourcePort, destination: plainAddress(ip.destination), destinationPort: transport.destinationPort, ifindex: drop.ifindex });
  return found ?? none(`no ${transport.kind} socket takes packets for port ${transport.destinationPort}`);
}

/** One process of those that hold a socket: the first that can be described. */
export function holderOf(evidence: Evidence, inode: number): Maybe<ProcessIdentity> {
  const holders = holdersOf(evidence, inode);
  if (isUnavailable(holders)) return holders;
  const pid = holders[0];
  return pid === undefined ? { unavailable: 'missing', what: `looking for the process that holds socket ${inode}`, why: 'no process has it open any more' } : identityOf(evidence, pid);
}

const SENDS = /^(?:__(?:x64|arm64|ia32|se|s390x|riscv)_)?(?:sys_)?(?:__sys_|do_)?(?:send(?:to|msg|mmsg|file64)?|writev?|pwritev2?|connect|splice|io_uring_enter|vfs_writev?|ksys_write|sock_sendmsg|__sock_sendmsg|sock_write_iter|(?:udp|udpv6|raw|rawv6|tcp|inet|inet6)_sendmsg)$/;

/** The packet died in the context of the task that was sending it: not in softirq, below a sending system call. */
export function sentInOwnContext(drop: DropEvent): boolean {
  if (drop.softirq) return false;
  if (drop.stack.length === 0) return drop.incoming === undefined || drop.incoming === 0;
  return drop.stack.some((frame) => frame.name !== undefined && SENDS.test(frame.name));
}
