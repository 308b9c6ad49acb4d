import { readSockets } from '../sockets.ts';
import { badArgument, type Reader } from './reader.ts';

export const sockets: Reader = (task) => (task.argument === undefined ? badArgument(task, 'what to list') : readSockets(task.netnsPath, task.argument));

/** Replaced as soon as the conntrack source is there. */
const notYet: Reader = (task) => ({ unavailable: 'unsupported', what: `reading ${task.question.topic}`, why: 'this build has no reader for it' });

export const conntrackTable = notYet;
export const conntrackStats = notYet;
