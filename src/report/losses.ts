import { clip } from '../base/text.ts';
import type { Incident, Victim } from '../model/incident.ts';
import type { LossLine } from './watch-state.ts';
import { counted } from './words.ts';

/** Longest name of a process, unit or container in a sentence: no name takes the verdict away. */
const NAME = 48;
const ENDPOINT = 64;

/** `openvpn (pid 4242, openvpn@home.service)`; undefined when no process is known. */
export function victimWords(victim: Victim): string | undefined {
  const { process: owner } = victim;
  if (owner === undefined) return undefined;
  const home = owner.container === undefined ? owner.unit : `container ${clip(owner.container, NAME)}`;
  return `${clip(owner.comm, NAME)} (pid ${owner.pid}${home === undefined ? '' : `, ${clip(home, NAME + 10)}`})`;
}

/** What was lost: packets, or calls that failed before there was a packet. */
export function lossUnit(incident: Incident): 'packet' | 'failed call' | 'loss' {
  if (incident.where.reason !== undefined || incident.where.symbol !== undefined || incident.bytes > 0) return 'packet';
  if (incident.victims.length > 0 && incident.victims.every((v) => v.errno !== undefined)) return 'failed call';
  return incident.victims.some((v) => v.flow !== undefined) ? 'packet' : 'loss';
}

/** `1,240 packets`, `5 failed calls`. */
export function lossCount(incident: Incident, count = incident.count): string {
  const unit = lossUnit(incident);
  return counted(count, unit, unit === 'loss' ? 'losses' : `${unit}s`);
}

/** The worst hit stands for all. */
function worstOf(incident: Incident): Victim | undefined {
  return incident.victims.toSorted((a, b) => b.count - a.count)[0];
}

/** `openvpn (pid 4242) lost 40 packets, udp 10.0.0.2:41194 to 10.0.0.1:1194; sendto gave EPERM`. */
export function lossWords(incident: Incident): string {
  const worst = worstOf(incident);
  const who = worst === undefined ? undefined : victimWords(worst);
  const count = lossCount(incident);
  const unit = lossUnit(incident);
  const subject =
    who === undefined ? (unit === 'packet' ? `${count} lost` : unit === 'loss' ? `${count} counted` : count)
    : unit === 'packet' ? `${who} lost ${count}`
    : `${who}: ${count}`;
  const flow = worst?.flow === undefined ? '' : `, ${clip(worst.flow.protocol, 16)} ${clip(worst.flow.source, ENDPOINT)} to ${clip(worst.flow.destination, ENDPOINT)}`;
  const failed = worst?.errno === undefined ? '' : `; ${clip(worst.syscall ?? 'the call', 32)} gave ${clip(worst.errno, 32)}`;
  const others = incident.victims.length > 1 ? `; ${counted(incident.victims.length - 1, 'other flow')} hit too` : '';
  return `${subject}${flow}${failed}${others}`;
}

/** The same for one narrow line: `openvpn[4242] → 10.77.0.1:1194`. */
export function victimShort(incident: Incident): string {
  const worst = worstOf(incident);
  if (worst === undefined) return clip(incident.where.netns.name ?? `net:[${incident.where.netns.inode}]`, NAME);
  const more = incident.victims.length > 1 ? ` +${incident.victims.length - 1}` : '';
  const { process: owner } = worst;
  const who = owner === undefined ? worst.flow?.source : `${clip(owner.comm, NAME)}[${owner.pid}]`;
  const to = worst.flow?.destination;
  return `${[who, to].filter((x) => x !== undefined).map((x) => clip(x, ENDPOINT)).join(' → ')}${more}`;
}

/** The headline of a run without an incident that matters: packets that were only counted are not nothing. */
export function nothingWords(incidents: readonly unknown[], losses: readonly LossLine[]): string {
  const undescribed = incidents.length > 0 ? 0 : losses.reduce((n, l) => (l.source === 'sampling' ? n + l.count : n), 0);
  return undescribed === 0 ? 'Nothing was lost that matters' : `${counted(undescribed, 'packet')} dropped and only counted: why is not known`;
}
