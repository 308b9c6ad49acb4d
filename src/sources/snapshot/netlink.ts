import { readConntrackStats, readConntrackTable } from '../conntrack/read.ts';
import { decodeWaitingNeighbours } from '../../formats/neighbour-message.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { readSockets } from '../sockets.ts';
import { NETLINK_ROUTE, openNetlink } from '../sys/netlink.ts';
import { badArgument, type Reader } from './reader.ts';

export const sockets: Reader = (task) => (task.argument === undefined ? badArgument(task, 'what to list') : readSockets(task.netnsPath, task.argument));
export const conntrackTable: Reader = (task) => readConntrackTable(task.netnsPath);
export const conntrackStats: Reader = (task) => readConntrackStats(task.netnsPath);

const RTM_GETNEIGH = 30;
/** struct ndmsg, all families. */
const EVERY = new Uint8Array(12);
/** Some 50,000 entries. */
const NEIGHBOUR_BYTES = 8 * 1024 * 1024;

/** Asked several times a second: only what waits is kept, so that nothing changes on a host where nothing waits. */
export const neighbourWaiting: Reader = (task) => {
  const socket = openNetlink(task.netnsPath, NETLINK_ROUTE, { what: 'listing neighbours' });
  if (isUnavailable(socket)) return socket;
  try {
    const dump = socket.dump(RTM_GETNEIGH, EVERY, NEIGHBOUR_BYTES);
    return isUnavailable(dump) ? dump : JSON.stringify(decodeWaitingNeighbours(dump.bytes));
  } finally {
    socket.close();
  }
};
