import type { SocketOwner } from '../model/process.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { allPids } from './process.ts';
import { readLink, readNames, readText } from './read.ts';

/** Who holds what open, on the whole host: an index made from /proc/PID/fd, renewed when it does not know an answer. */
export interface Descriptors {
  /** Processes that hold a socket; none when nobody does. */
  socketOwner(inode: number): Promise<SocketOwner>;
  /** Processes that hold each BPF program, by program id. */
  programHolders(): Promise<ReadonlyMap<number, readonly number[]>>;
}

interface Index {
  readonly sockets: Map<number, { readonly pid: number; readonly fd: string }[]>;
  readonly programs: Map<number, number[]>;
}

/** ms of work before the thread is given back: the probes' buffers are drained on it. */
const SLICE = 12;
/** A scan of a host with millions of descriptors is broken off; what was found until then counts. */
const SCAN_LIMIT = 2_000;
/** Between two scans lies this many times the time that the last one took. */
const REST = 2;

export function createDescriptors(root = '/proc'): Descriptors {
  let index: Index = { sockets: new Map(), programs: new Map() };
  let waiting: ((index: Index) => void)[] = [];
  let busy = false;
  let ended = -Infinity, took = 0;

  const work = async (): Promise<void> => {
    busy = true;
    while (waiting.length > 0) {
      await new Promise((go) => setTimeout(go, Math.max(0, took * REST - (performance.now() - ended))));
      const served = waiting; // all that asked before the scan begins: one that is under way may have passed the place
      waiting = [];
      const begun = performance.now();
      index = await scanDescriptors(root);
      ended = performance.now();
      took = Math.min(ended - begun, SCAN_LIMIT / REST);
      for (const serve of served) serve(index);
    }
    busy = false;
  };

  const fresh = (): Promise<Index> => new Promise((serve) => {
    waiting.push(serve);
    if (!busy) void work();
  });

  return {
    socketOwner: async (inode) => {
      const still = (i: Index): number[] => {
        const holders = (i.sockets.get(inode) ?? []).filter((h) => readLink(`${root}/${h.pid}/fd/${h.fd}`) === `socket:[${inode}]`);
        return [...new Set(holders.map((h) => h.pid))].sort((a, b) => a - b);
      };
      const known = still(index);
      return { inode, pids: known.length > 0 ? known : still(await fresh()) };
    },
    programHolders: async () => (await fresh()).programs,
  };
}

async function scanDescriptors(root: string): Promise<Index> {
  const index: Index = { sockets: new Map(), programs: new Map() };
  const begun = performance.now();
  let sliceEnd = begun + SLICE;
  for (const pid of allPids(root)) {
    const names = readNames(`${root}/${pid}/fd`);
    if (isUnavailable(names)) continue; // ended, or another user's
    for (const fd of names) {
      const now = performance.now();
      if (now > sliceEnd) {
        if (now - begun > SCAN_LIMIT) return index;
        await new Promise((go) => setImmediate(go));
        sliceEnd = performance.now() + SLICE;
      }
      const target = readLink(`${root}/${pid}/fd/${fd}`);
      if (target === undefined) continue;
      if (target.startsWith('socket:[')) append(index.sockets, Number(target.slice(8, -1)), { pid, fd });
      else if (target === 'anon_inode:bpf-prog' || target === 'anon_inode:bpf_link') {
        const info = readText(`${root}/${pid}/fdinfo/${fd}`);
        const id = isUnavailable(info) ? undefined : /^prog_id:\s*([0-9]+)$/m.exec(info)?.[1];
        if (id !== undefined && !index.programs.get(Number(id))?.includes(pid)) append(index.programs, Number(id), pid);
      }
    }
  }
  return index;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
