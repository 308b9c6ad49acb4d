import type { Mono } from '../base/brand.ts';
import { endpoint } from '../base/inet.ts';
import { createTranslations } from '../evidence/conntrack/translated.ts';
import { callKey, countKey } from '../model/counter.ts';
import type { CallEvent, ConntrackEvent, DropEvent } from '../model/event.ts';
import { createShares, type Shares } from '../model/shares.ts';
import type { Symptom } from '../model/symptom.ts';
import { signature } from './signature.ts';

/** All symptoms of one signature. */
export interface Sign {
  readonly key: string;
  symptom: Symptom;
  readonly first: Mono;
  last: Mono;
  /** Symptoms seen (for drops: samples). */
  seen: number;
  bytes: number;
  /** The kernel-side counter that holds their exact number. */
  readonly countKey?: string;
  /** Distinct victims: flow, task and errno of samples, bounded. */
  readonly victims: Map<string, Sufferer>;
  /** The incident that it belongs to. */
  incident?: string;
  /** That incident is over, and it was not seen since. */
  resting?: boolean;
  /** Answers older than this do not count in judging it. */
  asOf: Mono;
  /** A verdict was reached at least once. */
  judged: boolean;
}

/** Who was hit, and how often: described, or counted on a CPU right behind one of theirs that was. */
export interface Sufferer {
  symptom: Symptom;
  count: number;
  /** Found to be the same as this one. */
  same?: Sufferer;
}

export const MAX_VICTIMS = 24;
/** Distinct signatures of one kernel-side counter that are told apart; a port scan's others share one sign. */
const MAX_PER_COUNTER = 256;
/** A failed call belongs to a drop of its own task at most this long before it. */
const JOIN_NS = 200_000_000n;
/** A connect() that blocks gives up after tcp_syn_retries: two minutes. */
const TCP_PATIENCE_NS = 130_000_000_000n;
/** Where samples were shed, a call is taken for one of the same process's drops within this time. */
const SHED_JOIN_NS = 3_000_000_000n;

/**
 * Gathers drops and failed calls into signs and joins them: a call that failed because of a drop in its own task is
 * one symptom with it, not a second one.
 */
export interface Signs {
  addDrop(drop: DropEvent): Sign;
  /** `shedding`: the drop probe counts more drops than it samples in this namespace. */
  addCall(call: CallEvent, shedding: boolean): Sign;
  addOther(symptom: Symptom): Sign;
  /** NAT: by which other names a connection's packets go. */
  addConntrack(event: ConntrackEvent): void;
  /** Its incident has been given up: should it be seen again, it is new. */
  forget(sign: Sign): void;
  readonly all: ReadonlyMap<string, Sign>;
  /** By kernel-side counter: whose what it counts is, by keys of signs. */
  readonly shares: ReadonlyMap<string, Shares<string>>;
  /** Signs that changed since the last call. */
  takeChanged(): readonly Sign[];
}

export function createSigns(limit: number): Signs {
  const all = new Map<string, Sign>();
  const changed = new Set<Sign>();
  const lastDropOfTask = new Map<number, { sign: Sign; time: Mono; call?: CallEvent }>();
  const lastDropOfProcess = new Map<string, { sign: Sign; time: Mono }>();
  const lastDropOfFlow = new Map<string, { sign: Sign; time: Mono }>();
  const translations = createTranslations();
  const waysOf = (call: CallEvent): readonly string[] => attemptOf(call).flatMap((way) => [way, ...translations.after('tcp', way)]);

  const perCounter = new Map<string, number>();
  const shares = new Map<string, Shares<string>>();
  /** Whom the last symptom hit; and the last of each counter on each CPU that its own budget described. */
  let hit: Sufferer | undefined;
  const lastHit = new Map<string, Sufferer>();
  const sharesOf = (counter: string): Shares<string> => {
    const of = shares.get(counter) ?? createShares();
    if (of.seen === 0) shares.set(counter, of);
    return of;
  };

  const add = (symptom: Symptom, time: Mono, bytes: number, count: string | undefined): Sign => {
    let key = signature(symptom);
    let sign = all.get(key);
    if (sign === undefined && count !== undefined) {
      const siblings = perCounter.get(count) ?? 0;
      if (siblings < MAX_PER_COUNTER) perCounter.set(count, siblings + 1);
      else {
        key = `rest|${count}`;
        sign = all.get(key);
      }
    }
    if (sign === undefined) {
      if (all.size >= limit) forgetOld(all);
      sign = { key, symptom, first: time, last: time, seen: 0, bytes: 0, victims: new Map(), asOf: time, judged: false, ...(count === undefined ? {} : { countKey: count }) };
      all.set(key, sign);
    }
    sign.seen += 1;
    sign.resting = false;
    sign.bytes += bytes;
    if (time > sign.last) sign.last = time;
    const victim = victimKey(symptom);
    const known = sign.victims.get(victim);
    hit = known ?? { symptom, count: 0 };
    hit.count += 1;
    if (known === undefined && sign.victims.size < MAX_VICTIMS) sign.victims.set(victim, hit);
    changed.add(sign);
    return sign;
  };

  /** The victim whose packet it was now has an errno. */
  const giveCall = (sign: Sign, call: CallEvent, isTheirs: (drop: DropEvent) => boolean): void => {
    changed.add(sign);
    for (const [key, victim] of sign.victims) {
      if (victim.symptom.kind !== 'drop' || victim.symptom.call !== undefined || !isTheirs(victim.symptom.drop)) continue;
      victim.symptom = { ...victim.symptom, call };
      sign.victims.delete(key);
      const better = victimKey(victim.symptom);
      const known = sign.victims.get(better);
      if (known === undefined) sign.victims.set(better, victim);
      else {
        known.count += victim.count;
        victim.same = known;
      }
      return;
    }
  };

  const join = (sign: Sign, call: CallEvent): Sign => {
    if (sign.symptom.kind === 'drop' && sign.symptom.call === undefined) sign.symptom = { ...sign.symptom, call };
    giveCall(sign, call, (drop) => drop.task.tid === call.task.tid);
    if (call.time > sign.last) sign.last = call.time;
    return sign;
  };

  /** A connection attempt whose SYNs or answers were dropped, here or in another namespace: the drop's victim is known now. */
  const joinAttempt = (sign: Sign, call: CallEvent): Sign => {
    const flows = waysOf(call);
    giveCall(sign, call, (drop) => flows.includes(connectionOf(drop) ?? ''));
    return sign;
  };

  return {
    all,
    shares,
    takeChanged: () => {
      const list = [...changed];
      changed.clear();
      return list;
    },
    addDrop: (drop) => {
      const counter = countKey(drop);
      const sign = add({ kind: 'drop', netns: drop.netns, first: drop.time, drop }, drop.time, drop.length, counter);
      sharesOf(counter).add(drop, sign.key);
      if (drop.newcomer !== true && drop.shed !== undefined && hit !== undefined) {
        const key = `${drop.cpu}|${counter}`;
        const before = lastHit.get(key);
        if (before !== undefined) (before.same ?? before).count += drop.shed;
        bounded(lastHit).set(key, hit);
      }
      if (!drop.softirq) {
        bounded(lastDropOfTask).set(drop.task.tid, { sign, time: drop.time });
        bounded(lastDropOfProcess).set(`${drop.netns}|${drop.task.pid}`, { sign, time: drop.time });
      }
      const flow = connectionOf(drop);
      if (flow !== undefined) bounded(lastDropOfFlow).set(flow, { sign, time: drop.time });
      return sign;
    },
    addCall: (call, shedding) => {
      const own = lastDropOfTask.get(call.task.tid);
      if (own !== undefined && own.sign.symptom.netns === call.netns && call.time >= own.time && call.time - own.time < JOIN_NS) {
        lastDropOfTask.delete(call.task.tid);
        return join(own.sign, call);
      }
      // its own drop may have been counted and not described: then it is the same as the one before it
      const process = lastDropOfProcess.get(`${call.netns}|${call.task.pid}`);
      if (process !== undefined && call.time - process.time < SHED_JOIN_NS && (shedding || sameCall(process.sign.symptom, call))) return join(process.sign, call);
      const dropped = waysOf(call).map((flow) => lastDropOfFlow.get(flow)).find((d) => d !== undefined && call.time - d.time < (call.attempt?.waited ?? TCP_PATIENCE_NS) + SHED_JOIN_NS);
      if (dropped !== undefined) return joinAttempt(dropped.sign, call);
      const counter = call.attempt !== undefined ? undefined : callKey(call.task.pid, call.syscall, call.errno);
      const sign = add({ kind: 'call', netns: call.netns, first: call.time, call }, call.time, 0, counter);
      if (counter !== undefined) sharesOf(counter).add(call, sign.key);
      return sign;
    },
    addConntrack: translations.add,
    forget: (sign) => void all.delete(sign.key),
    addOther: (symptom) => {
      const sign = add(symptom, symptom.first, 0, undefined);
      // a counter says how many were lost; a clue only that something is lost, which drops and calls will count
      if (symptom.kind === 'counter') sign.seen += (symptom.clue === true ? 0 : symptom.after - symptom.before) - 1;
      return sign;
    },
  };
}

/** A TCP packet's connection, as it goes: `10.0.0.1:40000>10.0.0.2:80`. */
function connectionOf(drop: DropEvent): string | undefined {
  const { ip, transport } = drop.packet;
  return ip === undefined || transport?.kind !== 'tcp' ? undefined : `${endpoint(ip.source, transport.sourcePort)}>${endpoint(ip.destination, transport.destinationPort)}`;
}

/** The connection of an attempt that failed later than its call, in both directions. */
function attemptOf({ syscall, errno, attempt, socket }: CallEvent): readonly string[] {
  if (syscall !== 'connect' || (attempt === undefined && errno !== 'ETIMEDOUT') || socket?.local === undefined || socket.remote === undefined) return [];
  const [local, remote] = [unmapped(socket.local), unmapped(socket.remote)];
  return [`${local}>${remote}`, `${remote}>${local}`];
}

/** An IPv4 address that an IPv6 socket shows: `[::ffff:10.0.0.1]:80` is 10.0.0.1:80. */
const unmapped = (end: string): string => end.replace(/^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]/i, '$1');

/** The same call to the same destination with the same outcome as the one that the drop made fail. */
function sameCall(symptom: Symptom, call: CallEvent): boolean {
  const before = symptom.kind === 'drop' ? symptom.call : undefined;
  return before !== undefined && before.errno === call.errno && before.syscall === call.syscall && (before.destination ?? before.socket?.remote) === (call.destination ?? call.socket?.remote);
}

function victimKey(symptom: Symptom): string {
  switch (symptom.kind) {
    case 'drop': {
      const { packet, task, softirq, socket } = symptom.drop;
      const t = packet.transport;
      const ports = t !== undefined && 'sourcePort' in t ? `${t.sourcePort}>${t.destinationPort}` : '';
      return `${softirq ? '' : task.pid}|${socket?.inode ?? ''}|${packet.ip?.source ?? packet.arp?.sender ?? ''}>${packet.ip?.destination ?? packet.arp?.target ?? ''}|${ports}|${symptom.call?.errno ?? ''}`;
    }
    case 'call':
      return `${symptom.call.task.pid}|${symptom.call.syscall}|${symptom.call.errno}|${symptom.call.destination ?? ''}`;
    case 'counter':
      return symptom.counter;
    case 'log':
      return `${symptom.pid}|${symptom.file}`;
  }
}

/** Makes room: the least recent of the oldest few that carry no incident, or one that is over. */
function forgetOld(all: Map<string, Sign>): void {
  let goes: Sign | undefined;
  let looked = 0;
  const kept: Sign[] = [];
  for (const sign of all.values()) {
    if (sign.incident === undefined || sign.resting === true) {
      if (goes === undefined || sign.last < goes.last) goes = sign;
    } else kept.push(sign);
    if (++looked >= 64) break;
  }
  if (goes !== undefined) all.delete(goes.key);
  // the next look is at others: with incidents that go on at the front nobody would ever find room
  for (const sign of kept) {
    all.delete(sign.key);
    all.set(sign.key, sign);
  }
}

function bounded<K, V>(map: Map<K, V>): Map<K, V> {
  if (map.size > 4096) {
    const first = map.keys().next();
    if (!first.done) map.delete(first.value);
  }
  return map;
}
