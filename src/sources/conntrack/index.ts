import { readFileSync } from 'node:fs';
import { mono, netnsInode, type Netns } from '../../base/brand.ts';
import type { Sink } from '../../model/capture.ts';
import { isUnavailable, type Unavailable } from '../../model/unavailable.ts';
import { listNetns, openNetnsRegistry, type NetnsRegistry } from '../netns.ts';
import type { Arm, ArmedProbe, Scope } from '../source.ts';
import { NETLINK_NETFILTER, openNetlink, type NetlinkSocket } from '../sys/netlink.ts';
import { withinNetns } from '../sys/netns.ts';
import { createGathering, type Gathering } from './flood.ts';
import { conntrackLoaded } from './in-use.ts';
import { readConntrackTable, unused } from './read.ts';

export { readConntrackEntry, readConntrackStats, readConntrackTable } from './read.ts';

/** nfnetlink_groups: NFNLGRP_CONNTRACK_NEW, _UPDATE, _DESTROY. */
const GROUPS = [1, 2, 3];
/** Kernel memory, taken only while events wait: room for some 200,000. */
const RECEIVE_BUFFER = 64 * 1024 * 1024;
const MOST_NAMESPACES = 256;
const LOOK_AGAIN_NS = 2_000_000_000n;
/** Datagrams that one call of drain takes from one socket; the rest waits in its buffer for the next. */
const ONE_DRAIN = 200_000;

interface Listening {
  readonly netns: Netns;
  readonly socket: NetlinkSocket;
  readonly gathering: Gathering;
  lost: number;
  overrun: boolean;
}

/**
 * Follows every change of the connection tables, with the port id of whoever asked for it. A socket hears one
 * namespace, so each watched one gets its own; with all in scope, those there are (new ones are looked for every two
 * seconds). In the kernel's automatic mode (net.netfilter.nf_conntrack_events = 2, 5.19+) entries that are older than
 * the first listener send no events.
 */
export const armConntrack: Arm = (scope) => armConntrackWith(RECEIVE_BUFFER, scope);

/** As {@link armConntrack}, with another size of the kernel's buffer (bytes, for each namespace). */
export function armConntrackWith(receiveBuffer: number, scope: Scope): ArmedProbe | Unavailable {
  const what = 'listening to conntrack events';
  const idle = unused(what);
  if (idle !== undefined) return idle;
  const registry = openNetnsRegistry();
  const probe = createProbe(registry, scope, what, receiveBuffer);
  const first = probe.start();
  if (first !== undefined) {
    probe.close();
    return first;
  }
  return probe;
}

function createProbe(registry: NetnsRegistry, scope: Scope, what: string, receiveBuffer: number): ArmedProbe & { start(): Unavailable | undefined } {
  const listening = new Map<Netns, Listening>();
  const refused = new Map<Netns, Unavailable>();
  const wanted = new Set<Netns>(scope.netns);
  const all = scope.netns.length === 0;
  let lookedAt = 0n;
  let told = false;

  const listen = (netns: Netns): Unavailable | undefined => {
    if (listening.has(netns)) return undefined;
    if (listening.size >= MOST_NAMESPACES) return { unavailable: 'too-large', what, why: `more than ${MOST_NAMESPACES} namespaces` };
    const path = registry.path(netns);
    if (path === undefined) return { unavailable: 'missing', what, why: `network namespace net:[${netns}] is gone` };
    const socket = openNetlink(path, NETLINK_NETFILTER, { groups: GROUPS, receiveBuffer, what });
    if (isUnavailable(socket)) {
      refused.set(netns, socket);
      return socket;
    }
    listening.set(netns, { netns, socket, gathering: createGathering(), lost: 0, overrun: false });
    return undefined;
  };
  const look = (): void => {
    for (const entry of listNetns()) wanted.add(netnsInode(entry.inode));
  };
  const listenToAll = (): Unavailable | undefined => {
    let problem: Unavailable | undefined;
    for (const netns of wanted) {
      if (listening.has(netns) || refused.has(netns)) continue;
      problem = listen(netns) ?? problem;
    }
    return problem;
  };

  return {
    id: 'conntrack-events',
    start: () => {
      if (all) look();
      lookedAt = process.hrtime.bigint();
      const problem = listenToAll();
      return listening.size === 0 ? (problem ?? { unavailable: 'missing', what, why: 'no network namespace to watch' }) : undefined;
    },
    addNetns: (netns) => {
      wanted.add(netns);
      refused.delete(netns);
      listen(netns);
    },
    fds: () => [...listening.values()].map((l) => l.socket.fd),
    drain: (sink) => {
      let moved = 0;
      const now = process.hrtime.bigint();
      for (const l of listening.values()) moved += drainOne(l, sink, registry, what);
      if (all && now - lookedAt > LOOK_AGAIN_NS && conntrackLoaded()) {
        lookedAt = now;
        look();
        listenToAll();
      }
      if (refused.size > 0 && !told) {
        told = true;
        const [netns, problem] = [...refused][0]!;
        sink({ record: 'missed', time: mono(now), source: 'conntrack-events', count: refused.size, text: `conntrack events of ${refused.size} namespaces are not heard, net:[${netns}] among them: ${problem.why}` });
        moved += 1;
      }
      return moved;
    },
    close: () => {
      for (const l of listening.values()) l.socket.close();
      listening.clear();
      registry.close();
    },
  };
}

function drainOne(l: Listening, sink: Sink, registry: NetnsRegistry, what: string): number {
  let moved = 0, overrun = false;
  let now = process.hrtime.bigint();
  const give = (): void => {
    for (const bytes of l.gathering.take()) {
      sink({ record: 'netlink', time: mono(now), netns: l.netns, group: 'conntrack', bytes });
      moved += 1;
    }
  };
  for (let n = 0; n < ONE_DRAIN; n++) {
    const got = l.socket.receive();
    if (got === 'empty') break;
    if (got === 'overrun') {
      overrun = true;
      continue;
    }
    if (isUnavailable(got)) {
      sink({ record: 'missed', time: mono(now), source: 'conntrack-events', count: 1, text: `${what}: ${got.why}` });
      moved += 1;
      break;
    }
    if ((n & 1023) === 1023) now = process.hrtime.bigint();
    l.gathering.add(got, now);
  }
  give();
  if (overrun) moved += afterOverrun(l, sink, registry);
  return moved;
}

/** Says what was lost, and reads the table anew, so that what is there now is known whatever was missed. */
function afterOverrun(l: Listening, sink: Sink, registry: NetnsRegistry): number {
  const time = mono(process.hrtime.bigint());
  const path = registry.path(l.netns);
  const total = path === undefined ? undefined : dropsOf(path, l.socket.portId);
  const lost = total === undefined ? 1 : Math.max(1, total - l.lost);
  l.lost = total ?? l.lost + 1;
  sink({ record: 'missed', time, source: 'conntrack-events', count: lost, text: `conntrack events came faster than they could be read: ${total === undefined ? 'at least 1 was' : `${lost} were`} lost in net:[${l.netns}]; the table was read anew` });
  if (path === undefined) return 1;
  sink({ record: 'answer', time, question: { topic: 'conntrack-table', netns: l.netns }, body: readConntrackTable(path) });
  return 2;
}

/** Drops of our socket, as /proc/net/netlink counts them: `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`. */
function dropsOf(netnsPath: string, portId: number): number | undefined {
  const text = withinNetns(netnsPath, () => {
    try {
      return readFileSync('/proc/thread-self/net/netlink', 'utf8');
    } catch {
      return ''; // then the loss has no number, and that is said
    }
  });
  if (typeof text !== 'string') return undefined;
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const header = lines[0] ?? [];
  const pid = header.indexOf('Pid'), drops = header.indexOf('Drops'), protocol = header.indexOf('Eth');
  const row = lines.find((fields) => fields[pid] === String(portId) && fields[protocol] === String(NETLINK_NETFILTER));
  return row === undefined || drops < 0 ? undefined : Number(row[drops]);
}
