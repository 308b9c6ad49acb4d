import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { ProcessIdentity } from '../../model/incident.ts';
import type { ProcessFacts } from '../../model/process.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask, fact } from '../fact.ts';
import { arrayOf, integer, json, record, text } from './json.ts';

/** The process as it is, or, when it has gone, as it was when it was last seen. */
export function processFacts(evidence: Evidence, pid: number): Maybe<ProcessFacts> {
  return fact(evidence, { topic: 'process', argument: String(pid) }, 'process facts', (body) => factsOf(json(body, `reading process ${pid}`)), 'any');
}

/** As {@link processFacts}, but read after the symptom: a stopped process may have gone on meanwhile. */
export function processNow(evidence: Evidence, pid: number): Maybe<ProcessFacts> {
  return fact(evidence, { topic: 'process', argument: String(pid) }, 'process facts', (body) => factsOf(json(body, `reading process ${pid}`)));
}

/** All processes that live in a namespace. */
export function processesIn(evidence: Evidence, netns: Netns): Maybe<readonly ProcessFacts[]> {
  return fact(evidence, ask('processes', netns), 'all process facts', (body): Maybe<readonly ProcessFacts[]> => {
    const value = json(body, 'listing processes');
    if (isUnavailable(value)) return value;
    return arrayOf(value).flatMap((item) => {
      const facts = factsOf(item);
      return isUnavailable(facts) ? [] : [facts];
    });
  }, 'any');
}

/** The pids that hold a socket, lowest first. Who held it does not go stale. */
export function holdersOf(evidence: Evidence, inode: number): Maybe<readonly number[]> {
  return fact(evidence, { topic: 'socket-owner', argument: String(inode) }, 'socket holders', (body): Maybe<readonly number[]> => {
    const value = json(body, `looking for who holds socket ${inode}`);
    if (isUnavailable(value)) return value;
    return arrayOf(record(value)['pids']).map(integer).filter((pid) => pid !== undefined);
  }, 'any');
}

/**
 * Who a pid is: from /proc, else from the execve that was seen of it (a process of 2 ms leaves nothing else), else the
 * name that came with the event. Pending while /proc is being read.
 */
export function identityOf(evidence: Evidence, pid: number, comm?: string): Maybe<ProcessIdentity> {
  const facts = processFacts(evidence, pid);
  if (!isUnavailable(facts)) {
    return {
      pid,
      comm: facts.comm,
      ...(facts.cmdline === '' ? undefined : { cmdline: facts.cmdline }),
      ...(facts.unit === undefined ? undefined : { unit: facts.unit }),
      ...(facts.container === undefined ? undefined : { container: facts.container }),
    };
  }
  if (facts.unavailable === 'pending') return facts;
  const exec = evidence.execs().findLast((e) => e.task.pid === pid);
  if (exec !== undefined) return { pid, comm: comm ?? exec.task.comm, cmdline: exec.argv.length > 0 ? exec.argv.join(' ') : exec.filename };
  return comm === undefined ? facts : { pid, comm };
}

function factsOf(value: unknown): Maybe<ProcessFacts> {
  if (isUnavailable(value)) return value;
  const r = record(value);
  const pid = integer(r['pid']);
  if (pid === undefined) return { unavailable: 'malformed', what: 'reading a process', why: 'no pid in the answer' };
  const optional = (name: string): string | undefined => {
    const found = text(r[name]);
    return found === '' ? undefined : found;
  };
  const exe = optional('exe');
  const cgroup = optional('cgroup');
  const unit = optional('unit');
  const container = optional('container');
  const netns = integer(r['netns']);
  return {
    pid,
    ppid: integer(r['ppid']) ?? 0,
    comm: text(r['comm']) ?? '?',
    cmdline: text(r['cmdline']) ?? '',
    state: text(r['state']) ?? '?',
    uid: integer(r['uid']) ?? 0,
    startTicks: integer(r['startTicks']) ?? 0,
    capabilities: arrayOf(r['capabilities']).filter((c) => typeof c === 'string'),
    seccomp: integer(r['seccomp']) ?? 0,
    noNewPrivs: r['noNewPrivs'] === true,
    ...(exe === undefined ? undefined : { exe }), ...(cgroup === undefined ? undefined : { cgroup }), ...(unit === undefined ? undefined : { unit }),
    ...(container === undefined ? undefined : { container }), ...(netns === undefined ? undefined : { netns }),
  };
}
