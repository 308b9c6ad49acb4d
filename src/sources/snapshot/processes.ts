import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readLogTails } from '../log-tail.ts';
import { listNetns } from '../netns.ts';
import { allPids, namespaceInode, readProcess } from '../process.ts';
import { readLink } from '../read.ts';
import { badArgument, type Body, type Reader } from './reader.ts';

const PROCESSES = 2_000;

const json = (value: Maybe<object>): Body => (isUnavailable(value) ? value : JSON.stringify(value));

const number = (text: string | undefined): number | undefined => (text !== undefined && /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined);

export const processReader: Reader = (task) => {
  const pid = number(task.argument);
  return pid === undefined ? badArgument(task, 'a pid') : json(readProcess(pid));
};

export const processes: Reader = (task) => {
  const inode = task.question.netns ?? namespaceInode('self');
  const all: object[] = [];
  for (const pid of allPids()) {
    if (namespaceInode(pid) !== inode) continue;
    const facts = readProcess(pid);
    if (!isUnavailable(facts)) all.push(facts);
    if (all.length === PROCESSES) break;
  }
  return JSON.stringify(all);
};

/** Changes when a process begins or ends in the namespace, or runs another program: two links a process, where {@link processes} reads five files. */
export function processesSign(netns: number): string {
  let sign = '';
  for (const pid of allPids()) if (namespaceInode(pid) === netns) sign += `${pid} ${readLink(`/proc/${pid}/exe`) ?? ''}\n`;
  return sign;
}

export const socketOwner: Reader = async (task) => {
  const inode = number(task.argument);
  return inode === undefined ? badArgument(task, 'the inode of a socket') : json(await task.desk.descriptors.socketOwner(inode));
};

export const logTail: Reader = (task) => {
  const pid = number(task.argument);
  return pid === undefined ? badArgument(task, 'a pid') : json(readLogTails(pid));
};

export const netnsNames: Reader = () => json(listNetns());
