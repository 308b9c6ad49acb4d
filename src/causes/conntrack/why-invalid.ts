import { conntrackTable, deletions, destroyedEntry, entriesOf, sysctlOf, tupleOfPacket, tupleText, type Destroyed } from '../../evidence/conntrack/index.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import { mono } from '../../base/brand.ts';
import type { ConntrackEntry, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import { TCP_FLAG } from '../../model/packet.ts';
import { isUnavailable } from '../../model/unavailable.ts';

/** Why conntrack calls a packet INVALID, in one sentence, and what makes it valid. */
export interface WhyInvalid {
  readonly id: 'midstream' | 'window' | 'asymmetric' | 'checksum' | 'icmp-error' | 'icmp-reply' | 'tcp-flags' | 'reset' | 'unknown';
  readonly text: string;
  readonly lines: readonly EvidenceLine[];
  readonly remedies: readonly Remedy[];
  /** Every link was seen. */
  readonly sure: boolean;
}

/** How long conntrack remembers a TCP connection on which nothing is sent, s; keepalives come after 7200 s by default (tcp(7)). */
const ESTABLISHED = 'nf_conntrack_tcp_timeout_established', LEAST_IDLE_S = 7_200;
const MINUTES_5 = 300_000_000_000n;

export function whyInvalid(evidence: Evidence, drop: DropEvent): WhyInvalid {
  const { packet } = drop;
  const bad = packet.defects.find((d) => d.kind === 'transport-checksum' || d.kind === 'truncated');
  if (bad !== undefined && sysctlOf(evidence, drop.netns, 'nf_conntrack_checksum') !== 0) {
    return { id: 'checksum', text: `The packet is broken (${bad.text}), and conntrack checks that (net.netfilter.nf_conntrack_checksum).`, lines: [], sure: true, remedies: [setting(evidence, drop, 'nf_conntrack_checksum', 0, 1, 'Let conntrack not look at checksums; whoever makes them wrong is to be found all the same.', 'medium')] };
  }
  if (packet.quoted !== undefined) return icmpError(evidence, drop);
  const { transport } = packet;
  if (transport?.kind === 'icmp' || transport?.kind === 'icmp6') return { id: 'icmp-reply', text: `It is an ICMP message of type ${transport.type} that answers nothing conntrack has seen: only requests begin an entry.`, lines: [], sure: false, remedies: [] };
  if (transport?.kind !== 'tcp') return { id: 'unknown', text: 'Conntrack gave it no entry; what it did not like about this packet is not to be seen from outside.', lines: [], sure: false, remedies: [] };
  return tcp(evidence, drop, transport.flags);
}

function icmpError(evidence: Evidence, drop: DropEvent): WhyInvalid {
  const inner = drop.packet.quoted === undefined ? undefined : tupleOfPacket(drop.packet.quoted);
  const about = inner === undefined ? 'a packet' : tupleText(inner);
  const table = conntrackTable(evidence, drop.netns);
  const known = !isUnavailable(table) && inner !== undefined && entriesOf(table, inner).length > 0;
  return { id: 'icmp-error', text: `It is an ICMP error about ${about}, and conntrack has ${known ? 'that connection only in another state' : 'no entry of that connection'}.`, lines: [], sure: !known, remedies: [] };
}

function tcp(evidence: Evidence, drop: DropEvent, flags: number): WhyInvalid {
  const { SYN, ACK, RST, FIN } = TCP_FLAG;
  const tuple = tupleOfPacket(drop.packet);
  const table = conntrackTable(evidence, drop.netns);
  const listed = isUnavailable(table) || tuple === undefined ? undefined : entriesOf(table, tuple)[0];
  const partial = !isUnavailable(table) && table.status === 'partial';
  const from = mono(drop.time > MINUTES_5 ? drop.time - MINUTES_5 : 0n);
  const gone = tuple === undefined ? undefined : destroyedEntry(evidence, drop.netns, tuple, from, drop.time);
  const flow = tuple === undefined ? 'this connection' : tupleText(tuple);
  if ((flags & (SYN | ACK | RST | FIN)) === 0 || ((flags & SYN) !== 0 && (flags & (FIN | RST)) !== 0)) return { id: 'tcp-flags', text: 'Its TCP flags are a combination that no connection has.', lines: [], sure: true, remedies: [] };
  if (listed !== undefined && isUnavailable(table) === false && gone === undefined) return windowed(evidence, drop, listed, flags);
  if ((flags & SYN) !== 0 && (flags & ACK) !== 0) {
    return { id: 'asymmetric', text: `It is the answer (SYN, ACK) to a connection request that conntrack in ${netnsText(evidence, drop.netns)} has not seen: the two directions of ${flow} take different paths, or the request was not tracked.`, lines: entryLine(evidence, undefined, gone), sure: listed === undefined && !partial, remedies: [] };
  }
  if ((flags & (RST | FIN)) !== 0 && gone?.author === undefined && (flags & RST) !== 0) return { id: 'reset', text: `It is a reset of ${flow}, for which conntrack has no entry (any more).`, lines: entryLine(evidence, undefined, gone), sure: true, remedies: [] };
  const loose = sysctlOf(evidence, drop.netns, 'nf_conntrack_tcp_loose');
  const idle = gone !== undefined && gone.author === undefined ? sysctlOf(evidence, drop.netns, ESTABLISHED) : undefined;
  const short = idle !== undefined && idle < LEAST_IDLE_S ? idle : undefined;
  const lost = whoDeleted(evidence, drop, gone);
  if (loose === 0) {
    return {
      id: 'midstream',
      text: `Conntrack has no entry for ${flow}${lost === undefined ? '' : ` (${lost})`}, and since net.netfilter.nf_conntrack_tcp_loose is 0 it does not pick up a connection in its middle.${short === undefined ? '' : ` Connections are forgotten after ${short} s of silence (net.netfilter.${ESTABLISHED} = ${short}).`}`,
      lines: [...entryLine(evidence, undefined, gone), { source: 'sysctl', text: `net.netfilter.nf_conntrack_tcp_loose = 0${short === undefined ? '' : `, net.netfilter.${ESTABLISHED} = ${short}`}` }],
      sure: true,
      remedies: [
        setting(evidence, drop, 'nf_conntrack_tcp_loose', 1, 0, 'Let conntrack pick up TCP connections in their middle.', 'low'),
        ...(short === undefined ? [] : [setting(evidence, drop, ESTABLISHED, 432_000, short, 'Let connections that are silent be remembered longer: five days is the default. Those that are forgotten already have to be made anew.', 'low')]),
      ],
    };
  }
  return windowed(evidence, drop, listed, flags, lost);
}

/** An entry is there (or loose pick-up is on), and still the segment did not fit. */
function windowed(evidence: Evidence, drop: DropEvent, listed: ConntrackEntry | undefined, flags: number, lost?: string): WhyInvalid {
  const liberal = sysctlOf(evidence, drop.netns, 'nf_conntrack_tcp_be_liberal');
  const state = listed?.tcpState === undefined ? '' : ` (state ${listed.tcpState})`;
  if (listed === undefined && (flags & TCP_FLAG.FIN) !== 0) return { id: 'midstream', text: `It ends a connection for which conntrack has no entry${lost === undefined ? '' : ` (${lost})`}; one is not made for a FIN.`, lines: [], sure: false, remedies: [] };
  return {
    id: 'window',
    text: listed === undefined ? `Conntrack had no entry that the segment fits${lost === undefined ? '' : ` (${lost})`}, or its numbers lie outside the window that it expects.` : `Conntrack has an entry for the connection${state}, but the segment's numbers lie outside the window that it expects, or its flags do not fit the state: another path for one direction, lost packets, or an offload that it does not see.`,
    lines: entryLine(evidence, listed, undefined),
    sure: listed !== undefined && liberal === 0,
    remedies: liberal === 0 ? [setting(evidence, drop, 'nf_conntrack_tcp_be_liberal', 1, 0, 'Let conntrack accept segments outside the window it expects (only resets are still checked).', 'low')] : [],
  };
}

function whoDeleted(evidence: Evidence, drop: DropEvent, gone: Destroyed | undefined): string | undefined {
  if (gone?.author !== undefined) return `${gone.author.text} deleted it ${seconds(drop.time - gone.time)} before`;
  if (gone !== undefined) return `the kernel gave it up ${seconds(drop.time - gone.time)} before`;
  const flush = deletions(evidence, drop.netns, mono(drop.time > MINUTES_5 ? drop.time - MINUTES_5 : 0n), drop.time).at(-1);
  return flush === undefined ? undefined : `${flush.author.text} deleted entries ${seconds(drop.time - flush.first)} before`;
}

function entryLine(evidence: Evidence, listed: ConntrackEntry | undefined, gone: Destroyed | undefined): EvidenceLine[] {
  const lines: EvidenceLine[] = [];
  if (gone !== undefined) lines.push({ source: 'conntrack events', time: evidence.iso(gone.time), text: `DESTROY ${tupleText(gone.entry.original)}${gone.author === undefined ? ', by the kernel' : `, asked for by ${gone.author.text}`}` });
  if (listed !== undefined) lines.push({ source: 'conntrack table', text: `${tupleText(listed.original)}${listed.tcpState === undefined ? '' : ` ${listed.tcpState}`}` });
  return lines;
}

function setting(evidence: Evidence, drop: DropEvent, name: string, value: number, undo: number, text: string, risk: Remedy['risk']): Remedy {
  const command = (v: number): string => inNetns(evidence, drop.netns, `sysctl -w net.netfilter.${name}=${v}`);
  return { text, command: command(value), undo: command(undo), risk };
}

const seconds = (ns: bigint): string => (ns < 0n ? 'a moment' : ns < 2_000_000_000n ? `${Number(ns / 1_000_000n)} ms` : `${Number(ns / 1_000_000_000n)} s`);
