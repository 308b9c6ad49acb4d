import { mono, type Mono, type Netns } from '../../base/brand.ts';
import { clip } from '../../base/text.ts';
import type { ExecEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { ProcessIdentity } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';
import { holdersOf, identityOf, processFacts } from '../process/facts.ts';

/** Who asked the kernel to delete entries. */
export interface Author {
  /** Netlink port id: the pid of the asker as a rule, another number for its second socket and in other pid namespaces. */
  readonly port: number;
  readonly process?: ProcessIdentity;
  readonly parent?: ProcessIdentity;
  /** When its program was started, where that was seen: exact, while events are told when they are read. */
  readonly started?: Mono;
  /** `conntrack -F (pid 421), started by failover.sh (pid 400)` */
  readonly text: string;
}

/** Some time before an event in which its author's execve is looked for: 24 hours, as daemons live long. */
const LIFETIME_NS = 24n * 3_600_000_000_000n;

/** Port ids from here on were given by the kernel because the pid was taken: -4097 and below, as unsigned. */
const FIRST_RANDOM = 2 ** 31;
/** How long a delete may run after its start. */
const COMMAND_NS = 2_000_000_000n;

/** Who stands behind the port id of an event. A process that lived 5 ms is known by its execve, if that was seen. */
export function authorOf(evidence: Evidence, netns: Netns, port: number, at: Mono): Author {
  const exec = evidence.execs().findLast((e) => e.task.pid === port && e.time <= at + 5_000_000n && at - e.time < LIFETIME_NS);
  if (exec !== undefined) return ofExec(evidence, exec, port);
  if (port >= FIRST_RANDOM) return ofNumber(evidence, netns, port, at);
  const found = identityOf(evidence, port);
  // a kernel thread never deletes entries over netlink: then the number is no pid of ours
  if (isUnavailable(found) || (found.cmdline === undefined && found.comm !== 'conntrack')) return { port, text: `a process that has ended (netlink port id ${port}, usually its pid)` };
  const facts = processFacts(evidence, port);
  const parent = isUnavailable(facts) || facts.ppid <= 1 ? undefined : identityOf(evidence, facts.ppid);
  return withText(port, found, parent === undefined || isUnavailable(parent) ? undefined : parent);
}

/**
 * A second socket of a process has a port id that is no pid (netlink_autobind). Whoever holds it still is found by the
 * socket; one that has ended by the command that ran just before.
 */
function ofNumber(evidence: Evidence, netns: Netns, port: number, at: Mono): Author {
  const command = deleteCommands(evidence, netns, mono(at > COMMAND_NS ? at - COMMAND_NS : 0n), mono(at + 5_000_000n)).at(-1);
  if (command !== undefined) return { ...command.author, port };
  const sockets = evidence.lastAnswer(ask('proc', netns, 'net/netlink'));
  const inode = isUnavailable(sockets) || typeof sockets.body !== 'string' ? undefined : inodeOf(sockets.body, port);
  const holders = inode === undefined ? undefined : holdersOf(evidence, inode);
  const pid = holders === undefined || isUnavailable(holders) ? undefined : holders[0];
  const process = pid === undefined ? undefined : identityOf(evidence, pid);
  if (process === undefined || isUnavailable(process)) return { port, text: `a process that has ended (netlink port id ${port})` };
  return withText(port, process, undefined);
}

/** /proc/net/netlink: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`. */
function inodeOf(text: string, port: number): number | undefined {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const pid = lines[0]?.indexOf('Pid') ?? -1, inode = lines[0]?.indexOf('Inode') ?? -1;
  const row = pid < 0 || inode < 0 ? undefined : lines.find((fields) => fields[pid] === String(port));
  const number = Number(row?.[inode]);
  return row !== undefined && number > 0 ? number : undefined;
}

function ofExec(evidence: Evidence, exec: ExecEvent, port: number): Author {
  const cmdline = exec.argv.length > 0 ? exec.argv.join(' ') : exec.filename;
  const comm = exec.filename.split('/').at(-1)?.slice(0, 15) ?? exec.task.comm;
  const parent = exec.parent <= 1 ? undefined : identityOf(evidence, exec.parent);
  const known = parent === undefined || isUnavailable(parent) ? undefined : parent;
  // a child lives in its parent's unit and container
  const process: ProcessIdentity = { pid: exec.task.pid, comm, cmdline, ...(known?.unit === undefined ? {} : { unit: known.unit }), ...(known?.container === undefined ? {} : { container: known.container }) };
  return { ...withText(port, process, known), started: exec.time };
}

function withText(port: number, process: ProcessIdentity, parent: ProcessIdentity | undefined): Author {
  const where = [process.unit, process.container === undefined ? undefined : `container ${process.container}`].filter((w) => w !== undefined);
  const command = clip(process.cmdline ?? process.comm, 160);
  const by = parent === undefined ? '' : `, started by ${clip(parent.cmdline ?? parent.comm, 120)} (pid ${parent.pid})`;
  return { port, process, ...(parent === undefined ? {} : { parent }), text: `${command} (pid ${process.pid}${where.length === 0 ? '' : `, ${where.join(', ')}`})${by}` };
}

/**
 * Programs started in a span of time that delete conntrack entries by their words: `conntrack -F`, `-D`. They tell of
 * a delete where its events do not: entries older than the first listener send none.
 */
export function deleteCommands(evidence: Evidence, netns: Netns, from: Mono, to: Mono): readonly { readonly time: Mono; readonly flush: boolean; readonly author: Author }[] {
  return evidence.execs()
    .filter((e) => e.time >= from && e.time <= to && (e.netns === undefined || e.netns === netns))
    .flatMap((e) => {
      if (!/(^|\/)conntrack$/.test(e.filename) && !/(^|\/)conntrack$/.test(e.argv[0] ?? '')) return [];
      const flush = e.argv.some((a) => a === '-F' || a === '--flush');
      if (!flush && !e.argv.some((a) => a === '-D' || a === '--delete')) return [];
      return [{ time: e.time, flush, author: ofExec(evidence, e, e.task.pid) }];
    });
}
