import { netnsInode, type Netns } from '../base/brand.ts';
import { plainAddress, splitEndpoint } from '../base/inet.ts';
import { createTranslations } from '../evidence/conntrack/translated.ts';
import { decodeAddresses } from '../formats/ip-json.ts';
import { decodeProcSockets } from '../formats/proc-sockets.ts';
import { decodeSockDiag } from '../formats/sock-diag.ts';
import type { Event } from '../model/event.ts';
import { protocolName } from '../model/flow.ts';
import type { ProcessIdentity } from '../model/incident.ts';
import type { Flow } from '../model/packet.ts';
import type { SocketQuery } from '../model/socket.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { childrenOf, namespaceInode, readProcess, socketsOf } from '../sources/process.ts';
import type { Snapshots } from '../sources/snapshot/index.ts';

/** The processes that belong to a program, itself and all that it started, also those that have ended. */
export interface Kin {
  has(pid: number): boolean;
  learn(event: Event): void;
  /** Whose conversation it is, by the sockets that were seen: for packets that died where the kernel knows no owner any more. */
  ownerOf(flow: Flow): ProcessIdentity | undefined;
  close(): void;
}

/** Between two looks at the program's descriptors. A socket that lives shorter than that may be missed. */
const LOOK_MS = 100;
const MOST_PROCESSES = 256;
const MOST_DESCRIPTORS = 1_024;
const QUERIES: readonly (readonly [SocketQuery, 'udp' | 'tcp'])[] = [['udp', 'udp'], ['udp6', 'udp'], ['tcp', 'tcp'], ['tcp6', 'tcp']];
/** Files of sockets without ports, and the protocol of all that are in one; undefined: it stands in the place of the port. */
const PORTLESS: readonly (readonly [file: string, protocol: number | undefined])[] = [['net/raw', undefined], ['net/raw6', undefined], ['net/icmp', 1], ['net/icmp6', 58]];

/** Follows children by exec events, and by /proc for those that never exec; their sockets by /proc and sock_diag. */
export function kinOf(root: number, snapshots: Snapshots): Kin {
  const members = new Set([root]);
  const strangers = new Set<number>();
  const belongs = (pid: number, depth: number): boolean => {
    if (members.has(pid)) return true;
    if (pid <= 1 || strangers.has(pid) || depth > 32) return false;
    const facts = readProcess(pid);
    const mine = !isUnavailable(facts) && belongs(facts.ppid, depth + 1); // one that has ended: exec events may have told
    (mine ? members : strangers).add(pid);
    return mine;
  };
  const sockets = createSockets(snapshots);
  const translations = createTranslations();
  const look = (): void => {
    for (const pid of members) {
      if (members.size >= MOST_PROCESSES) break;
      for (const child of childrenOf(pid)) members.add(child); // also walked: a set gives what is added meanwhile
    }
    sockets.look([...members].slice(-MOST_PROCESSES));
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return {
    has: (pid) => belongs(pid, 0),
    learn: (event) => {
      if (event.kind === 'conntrack') translations.add(event);
      if (event.kind === 'exec' && belongs(event.parent, 0)) {
        members.add(event.task.pid);
        strangers.delete(event.task.pid);
      }
    },
    ownerOf: (flow) => {
      const [source, destination] = translations.before(flow.protocol, `${flow.source}>${flow.destination}`).split('>');
      return sockets.ownerOf(flow) ?? sockets.ownerOf({ protocol: flow.protocol, source: source ?? '', destination: destination ?? '' });
    },
    close: () => clearInterval(timer),
  };
}

interface Owned {
  readonly netns: Netns;
  readonly protocol: string;
  readonly local: string;
  readonly remote: string;
  /** 0 in both: not bound or connected; undefined: the protocol has none. */
  readonly ports?: { readonly local: number; readonly remote: number };
  readonly process: ProcessIdentity;
}

/** The sockets that were seen in these processes, with the addresses that a socket bound to none can have. */
function createSockets(snapshots: Snapshots): { look(pids: readonly number[]): void; ownerOf(flow: Flow): ProcessIdentity | undefined } {
  const owned = new Map<number, Owned>();
  const own = new Map<Netns, ReadonlySet<string>>();
  let busy = false;

  const addressesOf = async (netns: Netns): Promise<void> => {
    own.set(netns, new Set());
    const { body } = await snapshots.ask({ topic: 'address', netns });
    if (typeof body === 'string') own.set(netns, new Set(decodeAddresses(body).values.map((a) => a.address)));
  };
  /** One listing of each kind for each namespace in which a socket is not known yet, or had no port yet. */
  const list = async (wanted: ReadonlyMap<number, { readonly netns: Netns; readonly pid: number }>): Promise<void> => {
    const take = (netns: Netns, inode: number, socket: Omit<Owned, 'netns' | 'process'>): void => {
      const by = wanted.get(inode);
      const process = by === undefined ? undefined : (owned.get(inode)?.process ?? identity(by.pid));
      if (process !== undefined) owned.set(inode, { ...socket, netns, process });
    };
    const namespaces = new Set([...wanted.values()].map((w) => w.netns));
    await Promise.all([...namespaces].flatMap((netns) => [
      ...(own.has(netns) ? [] : [addressesOf(netns)]),
      ...QUERIES.map(async ([query, kind]) => {
        const { body } = await snapshots.ask({ topic: 'sockets', netns, argument: query });
        if (isUnavailable(body) || typeof body === 'string') return; // no IPv6, say
        for (const s of decodeSockDiag(body, kind).sockets) take(netns, s.inode, { protocol: kind, local: plainAddress(s.local), remote: plainAddress(s.remote), ports: { local: s.localPort, remote: s.remotePort } });
      }),
      ...PORTLESS.map(async ([argument, protocol]) => {
        const { body } = await snapshots.ask({ topic: 'proc', netns, argument });
        if (typeof body !== 'string') return;
        for (const s of decodeProcSockets(body)) take(netns, s.inode, { protocol: protocolName(protocol ?? s.localPort), local: s.local, remote: '::' });
      }),
    ]));
  };

  return {
    look: (pids) => {
      if (busy) return;
      const wanted = new Map<number, { netns: Netns; pid: number }>();
      for (const pid of pids) {
        const netns = namespaceInode(pid);
        if (netns === undefined) continue;
        // connected or not yet: a socket is looked at as long as it is open
        for (const inode of socketsOf(pid, MOST_DESCRIPTORS)) wanted.set(inode, { netns: netnsInode(netns), pid });
      }
      const news = [...wanted.keys()].some((inode) => {
        const known = owned.get(inode);
        return known === undefined || known.ports?.local === 0 || known.ports?.remote === 0;
      });
      if (!news) return;
      busy = true;
      void list(wanted).finally(() => (busy = false));
    },
    ownerOf: (flow) => {
      type End = NonNullable<ReturnType<typeof splitEndpoint>>;
      const source = splitEndpoint(flow.source), destination = splitEndpoint(flow.destination);
      if (source === undefined || destination === undefined) return undefined;
      for (const { netns, protocol, local, remote, ports, process } of owned.values()) {
        if (protocol !== flow.protocol) continue;
        const here = (end: End): boolean => (ports === undefined || end.port === ports.local) && (isAny(local) ? own.get(netns)?.has(end.address) === true : local === end.address);
        const there = (end: End): boolean => isAny(remote) || (remote === end.address && ports?.remote === end.port);
        if ((here(source) && there(destination)) || (here(destination) && there(source))) return process;
      }
      return undefined;
    },
  };
}

function identity(pid: number): ProcessIdentity | undefined {
  const facts = readProcess(pid);
  if (isUnavailable(facts)) return undefined;
  const { comm, cmdline, unit, container } = facts;
  return { pid, comm, ...(cmdline === '' ? {} : { cmdline }), ...(unit === undefined ? {} : { unit }), ...(container === undefined ? {} : { container }) };
}

const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::';
