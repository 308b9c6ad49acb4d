import type { Mono, Netns } from '../base/brand.ts';
import { countersNow, type CounterFile } from '../evidence/counters/index.ts';
import { waitingNeighbours } from '../evidence/network/waiting.ts';
import type { Evidence } from '../model/evidence.ts';
import type { Question } from '../model/question.ts';
import type { CounterSymptom } from '../model/symptom.ts';
import { isUnavailable } from '../model/unavailable.ts';

/** Counters of /proc/net/netstat that count losses which no drop event tells of. */
const LOST: readonly string[] = ['TcpExt ListenOverflows', 'TcpExt TCPReqQFullDrop'];
/** A closed window that stays closed this long is no pause between two reads. */
const CLOSED_NS = 1_100_000_000n;
/** The third probe of a closed window is sent 1.4 s after it closed. */
const PROBES = 3;
/** A neighbour that answers does so within milliseconds; the second request goes out after a second. */
const WAITS_MS = 800;
/** A loss that goes on is told again this often. */
const AGAIN_NS = 1_000_000_000n;
/** Echo requests without an answer before it is said. */
const ECHOES = 3;

/**
 * Losses that no event tells of: counters that moved between two readings, windows that stay closed, neighbours that do
 * not answer. Gives a symptom for each; remembers what it has seen, so the readings must come in order.
 */
export function createSilentLosses(): (evidence: Evidence, answered: readonly Question[]) => readonly CounterSymptom[] {
  const last = new Map<string, number>();
  const closed = new Map<Netns, { since: Mono; told: Mono; opened: number; shut: number; probes: number }>();
  const told = new Map<string, Mono>();

  /** How far a counter rose since the last reading; the first reading is where counting begins. */
  const rose = (netns: Netns, values: ReadonlyMap<string, number>, name: string): number => {
    const after = values.get(name);
    if (after === undefined) return 0;
    const key = `${netns} ${name}`;
    const before = last.get(key);
    last.set(key, after);
    // a counter that fell was of another namespace of that number
    return before === undefined ? 0 : Math.max(0, after - before);
  };
  const symptom = (evidence: Evidence, netns: Netns, counter: string, by: number, after: number, more: Partial<CounterSymptom> = {}): CounterSymptom =>
    ({ kind: 'counter', netns, first: evidence.now, counter, before: after - by, after, ...more });

  const netstat = (evidence: Evidence, netns: Netns, values: ReadonlyMap<string, number>): CounterSymptom[] => {
    const found: CounterSymptom[] = [];
    let explained = 0;
    for (const name of LOST) {
      const by = rose(netns, values, name);
      explained += by;
      if (by > 0) found.push(symptom(evidence, netns, `netstat ${name}`, by, values.get(name) ?? by));
    }
    // attempts that a listener could not answer for another reason than a full queue: no way back, no memory
    const dropped = rose(netns, values, 'TcpExt ListenDrops');
    if (dropped > 0 && explained === 0) found.push(symptom(evidence, netns, 'netstat TcpExt ListenDrops', dropped, values.get('TcpExt ListenDrops') ?? dropped, { clue: true }));

    const shut = rose(netns, values, 'TcpExt TCPToZeroWindowAdv'), opened = rose(netns, values, 'TcpExt TCPFromZeroWindowAdv'), probes = rose(netns, values, 'TcpExt TCPWinProbe');
    const known = closed.get(netns) ?? { since: evidence.now, told: evidence.now, opened: 0, shut: 0, probes: 0 };
    closed.set(netns, known);
    known.shut = Math.max(0, known.shut + shut - opened);
    known.probes += probes;
    if (shut > 0 || opened > 0) known.since = evidence.now;
    return found;
  };

  /** Windows that were closed and not opened again: ours (we do not read), or, by the probes sent, the other side's. */
  const windows = (evidence: Evidence): CounterSymptom[] => {
    const found: CounterSymptom[] = [];
    for (const [netns, state] of closed) {
      if (evidence.now - state.told < AGAIN_NS) continue;
      if (state.shut > 0 && evidence.now - state.since >= CLOSED_NS) {
        state.told = evidence.now;
        found.push(symptom(evidence, netns, 'netstat TcpExt TCPToZeroWindowAdv', state.shut, state.shut, { clue: true }));
      }
      if (state.probes >= PROBES) {
        state.told = evidence.now;
        found.push(symptom(evidence, netns, 'netstat TcpExt TCPWinProbe', state.probes, state.probes, { clue: true }));
        state.probes = 0;
      }
    }
    return found;
  };

  const echoes = (evidence: Evidence, netns: Netns, values: ReadonlyMap<string, number>, asked: string, answered: string): CounterSymptom[] => {
    const requests = rose(netns, values, asked), replies = rose(netns, values, answered);
    const key = `${netns} unanswered ${asked}`;
    const open = replies > 0 ? 0 : (last.get(key) ?? 0) + requests;
    last.set(key, open >= ECHOES ? 0 : open);
    return open >= ECHOES ? [symptom(evidence, netns, `snmp ${asked}`, open, values.get(asked) ?? open, { clue: true })] : [];
  };

  const neighbours = (evidence: Evidence, netns: Netns): CounterSymptom[] => {
    const waiting = waitingNeighbours(evidence, netns);
    if (isUnavailable(waiting)) return [];
    return waiting.filter((w) => w.waitedMs >= WAITS_MS).flatMap((neighbour) => {
      const counter = `neighbour ${neighbour.address} ${neighbour.ifindex}`;
      const key = `${netns} ${counter}`;
      if (evidence.now - (told.get(key) ?? 0n) < AGAIN_NS) return [];
      if (told.size > 1_000) told.clear();
      told.set(key, evidence.now);
      return [symptom(evidence, netns, counter, 0, 0, { clue: true, neighbour })];
    });
  };

  const file = (evidence: Evidence, netns: Netns, name: CounterFile): ReadonlyMap<string, number> => {
    const values = countersNow(evidence, netns, name);
    return isUnavailable(values) ? new Map() : values;
  };

  return (evidence, answered) => {
    const found: CounterSymptom[] = [];
    for (const { topic, netns, argument } of answered) {
      if (netns === undefined) continue;
      if (topic === 'neighbour-waiting') found.push(...neighbours(evidence, netns));
      else if (argument === 'net/netstat') found.push(...netstat(evidence, netns, file(evidence, netns, 'netstat')));
      else if (argument === 'net/snmp') found.push(...echoes(evidence, netns, file(evidence, netns, 'snmp'), 'Icmp InEchos', 'Icmp OutEchoReps'));
      else if (argument === 'net/snmp6') found.push(...echoes(evidence, netns, file(evidence, netns, 'snmp6'), 'Icmp6InEchos', 'Icmp6OutEchoReplies'));
    }
    found.push(...windows(evidence));
    return found;
  };
}
