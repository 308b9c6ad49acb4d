import { readSockets } from '../sockets.ts';
import type { Reader } from './reader.ts';

/** Replaced as soon as the netlink sources are there. */
const notYet: Reader = (task) => ({ unavailable: 'unsupported', what: `reading ${task.question.topic}`, why: 'this build has no reader for it' });

export const sockets: Reader = (task) => readSockets(task.netnsPath, task.argument ?? '');
export const conntrackTable = notYet;
export const conntrackStats = notYet;
