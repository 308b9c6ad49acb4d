import { isoTime } from '../base/time.ts';
import type { CallEvent, ConntrackEvent, DropEvent, Event, ExecEvent, Tuple } from '../model/event.ts';
import { protocolName } from '../model/flow.ts';
import type { Incident } from '../model/incident.ts';
import type { Actor, Diagram, Message } from './diagram.ts';

export interface SequenceOptions {
  readonly incident: Incident;
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC, ns. */
  readonly realtimeOffset: bigint;
}

/** More messages do not fit a screen. */
const MOST_MESSAGES = 14;
const TABLE: Actor = { id: 'table', label: 'conntrack table' };

/**
 * A conntrack race as it was seen: who deleted entries, whose packet was first, whose was lost, who was told. Only what
 * events say is drawn; undefined when they do not show a loss and something that happened to the table. `events` are
 * those around one loss, in order of time.
 */
export function sequenceOf(events: readonly Event[], options: SequenceOptions): Diagram | undefined {
  const drop = events.findLast((e): e is DropEvent => e.kind === 'drop');
  if (drop === undefined) return undefined;
  const tuple = drop.conntrack?.original;
  const changes = events.filter((e): e is ConntrackEvent => e.kind === 'conntrack' && (tuple === undefined || concerns(e, tuple)));
  // events bear the time of their reading, so one that is told after the loss may have come before it: what counts is their
  // order, and who the verdict says it was
  const asked = changes.filter((e) => e.change === 'destroy' && e.requester !== 0);
  const named = asked.filter((e) => e.requester === options.incident.culprit['pid']);
  const deletes = named.length > 0 ? named : asked;
  const first = deletes.findLast((e) => e.time <= drop.time) ?? deletes[0];
  const reply = drop.conntrack?.reply;
  const winner = changes.find((e) => e.change === 'new' && near(e.time, drop.time, LATE) && (first === undefined || changes.indexOf(e) > changes.indexOf(first)) && e.time + EARLY >= drop.time);
  const destroy = winner === undefined ? first : (deletes.findLast((e) => changes.indexOf(e) < changes.indexOf(winner)) ?? first);
  // another connection that translation gave the same tuple: no delete has a part in it
  const rival = winner !== undefined
    ? (tuple === undefined || sameExchange(winner.entry.original, tuple) ? undefined : winner)
    : reply === undefined ? undefined : events.find((e): e is ConntrackEvent => e.kind === 'conntrack' && tookTuple(e, drop));
  if (destroy === undefined && winner === undefined && rival === undefined) return undefined;
  const iso = (time: bigint): string => isoTime(time, options.realtimeOffset);
  const flusher = destroy === undefined ? undefined : events.findLast((e): e is ExecEvent => e.kind === 'exec' && e.task.pid === destroy.requester);
  const call = events.find((e): e is CallEvent => e.kind === 'call' && e.task.tid === drop.task.tid && e.time >= drop.time && e.time - drop.time < 200_000_000n);
  const receiving = drop.softirq;

  const actors: Actor[] = [];
  const messages: { time: bigint; message: Message }[] = [];
  /** `told`: when its event was read. Where that is after the loss, it came before, nobody knows when exactly. */
  const say = (time: bigint, from: string, to: string, text: string, kind: Message['kind'] = 'normal', told = time): void =>
    void messages.push({ time, message: { from, to, text, kind, ...(told > time ? {} : { time: iso(time) }) } });

  if (destroy !== undefined && rival === undefined) {
    actors.push({ id: 'flusher', label: flusher === undefined ? `netlink port ${destroy.requester}` : `${flusher.task.comm} ${flusher.task.pid}` });
    if (flusher !== undefined) say(flusher.time, 'flusher', 'flusher', `${flusher.argv.length > 0 ? flusher.argv.join(' ') : flusher.filename} starts`);
    say(destroy.time < drop.time - 2n ? destroy.time : drop.time - 2n, 'flusher', TABLE.id, `deletes ${flow(destroy.entry.original)}`, 'cause', destroy.time);
  }
  actors.push(TABLE);
  const loser: Actor = receiving
    ? { id: 'loser', label: `receiver, CPU ${drop.cpu}` }
    : { id: 'loser', label: `${drop.task.comm}, CPU ${drop.cpu}` };
  actors.push(loser);
  if (winner !== undefined && rival === undefined) {
    const reverse = tuple !== undefined && winner.entry.original.source === tuple.destination && winner.entry.original.destination === tuple.source;
    actors.push({ id: 'winner', label: reverse ? 'opposite packet' : 'other packet' });
    // its event was printed or read after the fact: it was in the table when the loser came
    const when = winner.time < drop.time - 1n ? winner.time : drop.time - 1n;
    say(when, 'winner', TABLE.id, `inserts ${flow(winner.entry.original)} first`, 'normal', winner.time);
  }
  const hook = options.incident.where.hook;
  if (rival !== undefined) {
    actors.push({ id: 'winner', label: 'other connection' });
    const when = rival.time < drop.time - 1n ? rival.time : drop.time - 1n;
    say(when, 'winner', TABLE.id, `inserts ${flow(rival.entry.original)} first`, 'normal', rival.time);
  }
  const same = tuple !== undefined && destroy !== undefined && flow(destroy.entry.original) === flow(tuple);
  say(drop.time, 'loser', TABLE.id, rival !== undefined ? 'same translated tuple: taken' : `inserts ${tuple === undefined || same ? 'its entry' : flow(tuple)}: taken`, 'lost');
  say(drop.time, 'loser', 'loser', `dropped${hook === undefined ? '' : ` at ${hook}`}`, 'lost');
  if (call !== undefined) say(call.time, 'loser', 'loser', `${call.syscall} returns ${call.errno}`, 'lost');
  else if (receiving) say(drop.time + 1n, 'loser', 'loser', 'nobody is told');
  const again = winner === undefined ? undefined : changes.find((e) => e.change === 'destroy' && e.time > drop.time && e.entry.id !== undefined && e.entry.id === winner.entry.id);
  if (again !== undefined && destroy !== undefined && again.requester === destroy.requester) say(again.time, 'flusher', TABLE.id, 'deletes the new entry too', 'cause');

  messages.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return { title: 'What happened', actors, messages: messages.slice(0, MOST_MESSAGES).map((m) => m.message) };
}

/** The entry that holds the very tuple which translation gave the lost packet's connection, too. */
export function tookTuple(event: ConntrackEvent, loss: DropEvent | CallEvent): boolean {
  const reply = loss.kind === 'drop' ? loss.conntrack?.reply : undefined;
  return event.change === 'new' && reply !== undefined && sameTuple(event.entry.reply, reply);
}

/** How late an event may be told, and how long a race may last on an overcommitted machine, ns. */
const LATE = 250_000_000n;
const EARLY = 20_000_000n;

const near = (a: bigint, b: bigint, within: bigint): boolean => (a > b ? a - b : b - a) <= within;

const sameTuple = (a: Tuple, b: Tuple): boolean => a.protocol === b.protocol && a.source === b.source && a.destination === b.destination && a.sourcePort === b.sourcePort && a.destinationPort === b.destinationPort;

const sameExchange = (a: Tuple, b: Tuple): boolean => sameTuple(a, b) || (a.protocol === b.protocol && a.source === b.destination && a.destination === b.source && a.sourcePort === b.destinationPort && a.destinationPort === b.sourcePort);
const concerns = (e: ConntrackEvent, t: Tuple): boolean => sameExchange(e.entry.original, t) || sameExchange(e.entry.reply, t);

function flow(t: Tuple): string {
  // of ICMP the source port is the echo id
  if (t.protocol === 1 || t.protocol === 58) return `${protocolName(t.protocol)} ${t.source} → ${t.destination}${t.sourcePort === undefined ? '' : ` id ${t.sourcePort}`}`;
  return `${protocolName(t.protocol)} ${t.source}${t.sourcePort === undefined ? '' : `:${t.sourcePort}`} → ${t.destination}${t.destinationPort === undefined ? '' : `:${t.destinationPort}`}`;
}
