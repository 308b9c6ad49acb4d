import type { CallEvent, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { flowOf } from '../../model/flow.ts';
import type { EvidenceLine } from '../../model/incident.ts';
import type { Socket } from '../../model/socket.ts';
import { flowText } from './flow.ts';
import { socketText } from './table.ts';

/** What the drop probe saw, in one line. */
export function dropLine(evidence: Evidence, drop: DropEvent): EvidenceLine {
  const flow = flowOf(drop.packet);
  const symbol = drop.place.name ?? `0x${drop.place.address.toString(16)}`;
  return {
    source: 'drop probe',
    time: evidence.iso(drop.time),
    text: `${drop.reason.name} at ${symbol}${drop.interface === undefined ? '' : ` on ${drop.interface}`}${flow === undefined ? '' : `: ${flowText(flow)}`}${drop.length === 0 ? '' : `, ${drop.length} bytes`}`,
  };
}

export function callLine(evidence: Evidence, call: CallEvent): EvidenceLine {
  return {
    source: 'call probe',
    time: evidence.iso(call.time),
    text: `${call.syscall}${call.destination === undefined ? '' : ` to ${call.destination}`} by ${call.task.comm} (pid ${call.task.pid}) = -1 ${call.errno}`,
  };
}

/** What sock_diag said of a socket. */
export function socketLine(socket: Socket): EvidenceLine {
  const memory = socket.memory;
  const queue = socket.state === 'listen' ? `${socket.receiveQueue} of at most ${socket.sendQueue} connections wait for accept` : `${socket.receiveQueue} bytes unread`;
  return {
    source: 'sock_diag',
    text: `${socket.kind} ${socketText(socket)}${socket.state === 'listen' ? ' listening' : ''}: ${queue}${memory === undefined ? '' : `; receive buffer ${memory.receiveAllocated} of ${memory.receiveBuffer} bytes used, ${memory.drops} packets dropped by this socket`}`,
  };
}
