import { readConntrackStats, readConntrackTable } from '../conntrack/read.ts';
import { readSockets } from '../sockets.ts';
import { badArgument, type Reader } from './reader.ts';

export const sockets: Reader = (task) => (task.argument === undefined ? badArgument(task, 'what to list') : readSockets(task.netnsPath, task.argument));
export const conntrackTable: Reader = (task) => readConntrackTable(task.netnsPath);
export const conntrackStats: Reader = (task) => readConntrackStats(task.netnsPath);
