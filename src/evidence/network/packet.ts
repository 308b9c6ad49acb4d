import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { links, type RouteQuery } from './read.ts';
import type { RoutedPacket } from './routing.ts';
import { destinationOf, isForwarded, isSend, plainAddress, sourceOf } from './words.ts';

/** The packet of a symptom, as routing sees it. */
export interface Routed {
  readonly to: string;
  readonly from?: string;
  /** It came in on `iif` and was to be forwarded or delivered; else it was made here. */
  readonly received: boolean;
  readonly packet: RoutedPacket;
  readonly query: RouteQuery;
}

/** Undefined for a symptom without an IP destination. `iif`: the device it came in on. */
export function routedPacket(evidence: Evidence, symptom: Symptom): Maybe<Routed> | undefined {
  if (symptom.kind === 'call') {
    const to = destinationOf(symptom.call);
    if (to === undefined || !isSend(symptom.call)) return undefined;
    const from = sourceOf(symptom.call);
    const protocol = symptom.call.socket?.protocol, uid = symptom.call.task.uid;
    return {
      to: to.address, received: false,
      ...(from === undefined ? {} : { from }),
      packet: { to: to.address, ...(from === undefined ? {} : { from }), ...(to.port === undefined ? {} : { destinationPort: to.port }), ...(protocol === undefined ? {} : { protocol }), ...(uid === undefined ? {} : { uid }) },
      query: from === undefined ? { to: to.address } : { to: to.address, from },
    };
  }
  if (symptom.kind !== 'drop') return undefined;
  const { drop } = symptom;
  const { ip, transport } = drop.packet;
  if (ip === undefined) return undefined;
  const to = plainAddress(ip.destination), from = plainAddress(ip.source);
  const ports = transport !== undefined && 'sourcePort' in transport ? { sourcePort: transport.sourcePort, destinationPort: transport.destinationPort } : {};
  const iif = incomingDevice(evidence, drop);
  if (iif !== undefined && isUnavailable(iif)) return iif;
  const received = iif !== undefined;
  const uid = received ? 0 : symptom.call?.task.uid;
  return {
    to, from, received,
    packet: { to, from, ...(iif === undefined ? {} : { iif }), mark: drop.mark, tos: ip.tos, protocol: ip.protocol, ...ports, ...(uid === undefined ? {} : { uid }) },
    query: { to, from, ...(iif === undefined ? {} : { iif }), mark: drop.mark },
  };
}

/** The name of the device a dropped packet came in on; undefined for a packet made here. */
export function incomingDevice(evidence: Evidence, drop: DropEvent): Maybe<string> | undefined {
  const index = drop.incoming ?? 0;
  const byIndex = index === 0 ? undefined : links(evidence, drop.netns);
  if (byIndex !== undefined) {
    if (isUnavailable(byIndex)) return byIndex.unavailable === 'pending' ? byIndex : drop.interface;
    const link = byIndex.find((l) => l.index === index);
    if (link !== undefined && link.name !== 'lo') return link.name;
  }
  if (index !== 0 || isForwarded(drop) || drop.softirq) return drop.interface === 'lo' ? undefined : drop.interface;
  return undefined;
}
