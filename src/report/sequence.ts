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
  const destroy = changes.findLast((e) => e.change === 'destroy' && e.requester !== 0 && e.time <= drop.time) ?? changes.find((e) => e.change === 'destroy' && e.requester !== 0);
  const winner = changes.find((e) => e.change === 'new' && near(e.time, drop.time, 100_000_000n) && (destroy === undefined || e.time > destroy.time));
  if (destroy === undefined && winner === undefined) return undefined;
  const iso = (time: bigint): string => isoTime(time, options.realtimeOffset);
  const flusher = destroy === undefined ? undefined : events.findLast((e): e is ExecEvent => e.kind === 'exec' && e.task.pid === destroy.requester);
  const call = events.find((e): e is CallEvent => e.kind === 'call' && e.task.tid === drop.task.tid && e.time >= drop.time && e.time - drop.time < 200_000_000n);
  const receiving = drop.softirq;

  const actors: Actor[] = [];
  const messages: { time: bigint; message: Message }[] = [];
  const say = (time: bigint, from: string, to: string, text: string, kind: Message['kind'] = 'normal'): void => void messages.push({ time, message: { from, to, text, time: iso(time), kind } });

  if (destroy !== undefined) {
    actors.push({ id: 'flusher', label: flusher === undefined ? `netlink port ${destroy.requester}` : `${flusher.task.comm} ${flusher.task.pid}` });
    if (flusher !== undefined) say(flusher.time, 'flusher', 'flusher', `${flusher.argv.length > 0 ? flusher.argv.join(' ') : flusher.filename} starts`);
    say(destroy.time, 'flusher', TABLE.id, `deletes ${flow(destroy.entry.original)}`, 'cause');
  }
  actors.push(TABLE);
  const loser: Actor = receiving
    ? { id: 'loser', label: `receiver, CPU ${drop.cpu}` }
    : { id: 'loser', label: `${drop.task.comm}, CPU ${drop.cpu}` };
  actors.push(loser);
  if (winner !== undefined) {
    const reverse = tuple !== undefined && winner.entry.original.source === tuple.destination && winner.entry.original.destination === tuple.source;
    actors.push({ id: 'winner', label: reverse ? 'opposite packet' : 'other packet' });
    // its event was printed or read after the fact: it was in the table when the loser came
    say(winner.time < drop.time ? winner.time : drop.time, 'winner', TABLE.id, `new entry ${flow(winner.entry.original)}, ${reverse ? 'made by the other end\'s packet' : 'first'}`);
  }
  const hook = options.incident.where.hook;
  say(drop.time, 'loser', TABLE.id, `insert${tuple === undefined ? '' : ` ${flow(tuple)}`} fails: taken. Packet dropped${hook === undefined ? '' : ` at ${hook}`}`, 'lost');
  if (call !== undefined) say(call.time, 'loser', 'loser', `${call.syscall} returns ${call.errno}`, 'lost');
  else if (receiving) say(drop.time + 1n, 'loser', 'loser', 'nobody is told');
  const again = winner === undefined ? undefined : changes.find((e) => e.change === 'destroy' && e.time > drop.time && e.entry.id !== undefined && e.entry.id === winner.entry.id);
  if (again !== undefined && destroy !== undefined && again.requester === destroy.requester) say(again.time, 'flusher', TABLE.id, 'deletes the new entry too', 'cause');

  messages.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return { title: 'What happened', actors, messages: messages.slice(0, MOST_MESSAGES).map((m) => m.message) };
}

const near = (a: bigint, b: bigint, within: bigint): boolean => (a > b ? a - b : b - a) <= within;

function concerns(e: ConntrackEvent, t: Tuple): boolean {
  const same = (a: Tuple): boolean => a.protocol === t.protocol && ((a.source === t.source && a.destination === t.destination && a.sourcePort === t.sourcePort && a.destinationPort === t.destinationPort) || (a.source === t.destination && a.destination === t.source && a.sourcePort === t.destinationPort && a.destinationPort === t.sourcePort));
  return same(e.entry.original) || same(e.entry.reply);
}

const flow = (t: Tuple): string => `${protocolName(t.protocol)} ${t.source}${t.sourcePort === undefined ? '' : `:${t.sourcePort}`} → ${t.destination}${t.destinationPort === undefined ? '' : `:${t.destinationPort}`}`;
