import { closeSync, openSync, readdirSync, statSync, statfsSync } from 'node:fs';
import { netnsInode, type Netns } from '../base/brand.ts';
import { nearest } from '../base/nearest.ts';
import type { NetnsEntry } from '../model/process.ts';
import { isUnavailable, type Maybe, type Unavailable } from '../model/unavailable.ts';
import { allPids, cgroupPath, namespaceInode, ownerOfCgroup } from './process.ts';
import { readingFailed, readText } from './read.ts';
import { CLONE_NEWNET, ioctl } from './sys/ffi.ts';

/** A namespace that can be entered. */
export interface NetnsRef {
  readonly inode: Netns;
  readonly name?: string;
  /** What to open to get in. */
  readonly path: string;
}

/** The namespaces of this host, and a door held open into each that is watched. Whoever opens it closes it. */
export interface NetnsRegistry {
  /** The one whydrop itself runs in. */
  readonly own: NetnsRef;
  /** All that are named or lived in, read anew: named first. */
  list(): readonly NetnsEntry[];
  /** `ip netns` name, path, pid, `net:[INODE]` or the beginning of a container id. */
  resolve(argument: string): Maybe<NetnsRef>;
  /**
   * Holds the namespace open until `close`: it stays readable after its name or its last process is gone. Only for
   * those that the user named: an open door keeps the namespace, and its interfaces, alive.
   */
  hold(ref: NetnsRef): Maybe<NetnsRef>;
  /** The way into a namespace: held open, or found by name or process just now. Undefined when it is gone. */
  path(inode: Netns): string | undefined;
  /** Names by inode, as of the last reading. */
  names(): ReadonlyMap<Netns, string>;
  close(): void;
}

const NAMES_FOLDER = '/run/netns';
const NSFS_MAGIC = 0x6e736673; //   include/uapi/linux/magic.h
const NS_GET_NSTYPE = 0xb703; //    ioctl_ns(2)

/** Names in /run/netns (ip-netns(8)) with the inode of each; a name without its mount (a stale file) is left out. */
export function namedNetns(folder = NAMES_FOLDER): { name: string; inode: Netns; path: string }[] {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    return []; // nobody has ever named one, or the folder may not be read: then there are no names for us
  }
  return names.flatMap((name) => {
    const path = `${folder}/${name}`;
    try {
      if (statfsSync(path).type !== NSFS_MAGIC) return [];
      return [{ name, inode: netnsInode(statSync(path).ino), path }];
    } catch {
      return []; // removed meanwhile
    }
  });
}

/** Every namespace that has a name or a process. */
export function listNetns(): NetnsEntry[] {
  const entries = new Map<number, { inode: number; name?: string; pid?: number }>();
  for (const { name, inode } of namedNetns()) if (!entries.has(inode)) entries.set(inode, { inode, name });
  for (const pid of allPids()) {
    const inode = namespaceInode(pid);
    if (inode === undefined) continue;
    const entry = entries.get(inode);
    if (entry === undefined) entries.set(inode, { inode, pid });
    else entry.pid ??= pid;
  }
  return [...entries.values()];
}

export function openNetnsRegistry(): NetnsRegistry {
  const held = new Map<Netns, { fd: number; ref: NetnsRef }>();
  const doors = new Map<Netns, string>(); // ways in that worked, checked before each use
  let names = new Map<Netns, string>();
  const ownInode = statSync('/proc/self/ns/net').ino;
  const own: NetnsRef = { inode: netnsInode(ownInode), path: '/proc/self/ns/net' };

  const list = (): readonly NetnsEntry[] => {
    const entries = listNetns();
    names = new Map(entries.flatMap((e) => (e.name === undefined ? [] : [[netnsInode(e.inode), e.name] as const])));
    for (const { ref } of held.values()) if (ref.name !== undefined && !names.has(ref.inode)) names.set(ref.inode, ref.name);
    return entries;
  };

  const find = (inode: Netns): string | undefined => {
    // all doors at once: where many namespaces lose packets, the next one is asked for in a moment
    for (const named of namedNetns()) doors.set(named.inode, named.path);
    const door = doors.get(inode);
    if (door !== undefined && inodeAt(door) === inode) return door;
    for (const pid of allPids()) if (namespaceInode(pid) === inode) return `/proc/${pid}/ns/net`;
    return undefined;
  };

  return {
    own,
    list,
    resolve: (argument) => resolveNetns(argument, list),
    hold: (ref) => {
      const before = held.get(ref.inode);
      if (before !== undefined) return before.ref;
      try {
        const fd = openSync(ref.path, 'r');
        const kept: NetnsRef = { ...ref, path: `/proc/self/fd/${fd}` };
        held.set(ref.inode, { fd, ref: kept });
        if (ref.name !== undefined) names.set(ref.inode, ref.name);
        return kept;
      } catch (error) {
        return { ...readingFailed(ref.path, error), what: `opening ${ref.path}` };
      }
    },
    path: (inode) => {
      const kept = held.get(inode);
      if (kept !== undefined) return kept.ref.path;
      if (inode === own.inode) return own.path;
      const door = doors.get(inode);
      if (door !== undefined && inodeAt(door) === inode) return door;
      const found = find(inode);
      if (found === undefined) doors.delete(inode);
      else doors.set(inode, found);
      return found;
    },
    names: () => names,
    close: () => {
      for (const { fd } of held.values()) closeSync(fd);
      held.clear();
    },
  };
}

function inodeAt(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined; // the door has gone: look for another
  }
}

/** What a user means by `--netns ARGUMENT`. A name goes before a pid, should one be made of digits. */
function resolveNetns(argument: string, list: () => readonly NetnsEntry[]): Maybe<NetnsRef> {
  const named = namedNetns();
  const byName = named.find((n) => n.name === argument);
  if (byName !== undefined) return byName;
  if (argument.includes('/')) return atPath(argument, named);
  if (/^[1-9][0-9]{0,9}$/.test(argument)) {
    const inode = namespaceInode(Number(argument));
    if (inode !== undefined) return withName(netnsInode(inode), `/proc/${argument}/ns/net`, named);
    return notFound(argument, [], 'no process and no named namespace is called that');
  }
  const number = /^net:\[([0-9]+)\]$/.exec(argument)?.[1];
  const entries = list();
  if (number !== undefined) {
    const entry = entries.find((e) => e.inode === Number(number));
    const path = entry && (entry.pid === undefined ? `${NAMES_FOLDER}/${entry.name}` : `/proc/${entry.pid}/ns/net`);
    return path === undefined ? notFound(argument, [], 'nothing lives in it and it has no name') : withName(netnsInode(Number(number)), path, named);
  }
  const containers = entries.flatMap((e) => (e.pid === undefined ? [] : containerOf(e.pid).map((id) => ({ id, inode: e.inode, pid: e.pid! }))));
  const matching = argument.length < 4 ? [] : containers.filter((c) => c.id.startsWith(argument.slice(0, 12)));
  if (matching.length === 1) return withName(netnsInode(matching[0]!.inode), `/proc/${matching[0]!.pid}/ns/net`, named);
  return notFound(argument, [...named.map((n) => n.name), ...containers.map((c) => c.id)], named.length === 0 ? 'no namespace has a name' : 'no namespace has this name');
}

/** Id of the container that a process belongs to: none or one. */
function containerOf(pid: number): string[] {
  const text = readText(`/proc/${pid}/cgroup`);
  const path = isUnavailable(text) ? undefined : cgroupPath(text);
  const id = path === undefined ? undefined : ownerOfCgroup(path).container?.split(' ')[1];
  return id === undefined ? [] : [id];
}

function atPath(path: string, named: ReturnType<typeof namedNetns>): Maybe<NetnsRef> {
  let fd: number | undefined;
  try {
    if (statfsSync(path).type !== NSFS_MAGIC) return { unavailable: 'failed', what: `opening ${path}`, why: 'not a network namespace' };
    fd = openSync(path, 'r');
    if (ioctl(fd, NS_GET_NSTYPE, 0) !== CLONE_NEWNET) return { unavailable: 'failed', what: `opening ${path}`, why: 'a namespace of another kind' };
    return withName(netnsInode(statSync(path).ino), path, named);
  } catch (error) {
    return { ...readingFailed(path, error), what: `opening ${path}` };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function withName(inode: Netns, path: string, named: ReturnType<typeof namedNetns>): NetnsRef {
  const name = named.find((n) => n.inode === inode)?.name;
  return name === undefined ? { inode, path } : { inode, name, path };
}

function notFound(argument: string, words: readonly string[], why: string): Unavailable {
  const near = nearest(argument, words);
  return {
    unavailable: 'missing', what: `looking for the network namespace ${JSON.stringify(argument)}`,
    why: near === undefined ? why : `${why}; did you mean ${near}?`, fix: 'ip netns list shows the names; a pid or a path will do as well',
  };
}
