import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { isUnavailable, type Maybe, type Unavailable } from '../../model/unavailable.ts';
import { tracefsPath } from './mount.ts';

/** A tracing instance of our own: buffers, filters and options apart from everybody else's. */
export interface Instance {
  readonly path: string;
  /** Writes a control file; says why when the kernel refuses. */
  set(file: string, value: string): Unavailable | undefined;
  /** Stops tracing and removes the instance. Descriptors on its files must be closed before. */
  remove(): void;
}

/**
 * `instances/whydrop-PID-START-PIDNS-PURPOSE`: start time in ticks since boot and pid namespace tell whether its owner
 * still lives. When a run is killed, its `free_buffer` descriptor closes with it: the kernel stops the trace and frees
 * the buffers by itself; the empty shell goes at the next start of whydrop.
 */
export function createInstance(purpose: string): Maybe<Instance> {
  const root = tracefsPath();
  if (isUnavailable(root)) return root;
  reapInstances(root);
  const path = `${root}/instances/whydrop-${process.pid}-${startOf(process.pid) ?? 0}-${pidNamespace() ?? 0}-${purpose}`;
  try {
    mkdirSync(path);
  } catch (error) {
    return refused('creating a tracing instance', error);
  }
  let freeing: number | undefined;
  const instance: Instance = {
    path,
    set(file, value) {
      try {
        writeFileSync(`${path}/${file}`, value);
        return undefined;
      } catch (error) {
        return refused(`writing ${JSON.stringify(value)} to tracefs ${file}`, error);
      }
    },
    remove() {
      instance.set('tracing_on', '0');
      if (freeing !== undefined) closeSync(freeing);
      freeing = undefined;
      removeInstance(path);
    },
  };
  instance.set('tracing_on', '0');
  if (instance.set('options/disable_on_free', '1') === undefined) {
    try {
      freeing = openSync(`${path}/free_buffer`, 'w');
    } catch {
      // older or restricted: then a killed run's buffers go at the next start
    }
  }
  return instance;
}

/** Removes what killed runs left behind. Those of other pid namespaces can't be judged from here and stay. Returns how many went. */
export function reapInstances(root: string): number {
  let names: string[];
  try {
    names = readdirSync(`${root}/instances`);
  } catch {
    return 0; // creating our own tells why
  }
  const namespace = pidNamespace();
  let count = 0;
  for (const name of names) {
    const m = /^whydrop-(\d+)-(\d+)-(\d+)-[a-z]+$/.exec(name);
    if (m === null || Number(m[3]) !== namespace || startOf(Number(m[1])) === m[2]) continue;
    if (removeInstance(`${root}/instances/${name}`)) count++;
  }
  return count;
}

function removeInstance(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // EBUSY: somebody reads one of its files; the next start tries again
  }
}

/** Start time of a process in ticks since boot; undefined when it is gone. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // gone
  }
}

/** Inode of this process's pid namespace; 4026531836 is the first one, whose pids the kernel writes into events. */
export function pidNamespace(): number | undefined {
  try {
    const m = /\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/pid'));
    return m === null ? undefined : Number(m[1]);
  } catch {
    return undefined; // no /proc: then no pid of an event is taken for one of ours
  }
}

export const FIRST_PID_NAMESPACE = 4026531836;

function refused(what: string, error: unknown): Unavailable {
  const why = (error as NodeJS.ErrnoException).code ?? String(error);
  switch (why) {
    case 'EACCES': case 'EPERM':
      return { unavailable: 'permission', what, why, fix: 'run as root; under kernel lockdown (confidentiality) tracing is off: cat /sys/kernel/security/lockdown' };
    case 'ENOENT': case 'EINVAL': case 'ENODEV': return { unavailable: 'unsupported', what, why };
    default: return { unavailable: 'failed', what, why };
  }
}
