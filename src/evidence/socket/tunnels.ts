import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import type { InterfaceAddress } from '../../model/network.ts';
import { links } from '../network/read.ts';
import { iproute } from '../netns.ts';
import { integer, text } from '../process/json.ts';

/** A tunnel device that receives on a UDP port of the kernel's own (no process, no socket in any listing of processes). */
export interface UdpTunnel {
  readonly device: string;
  readonly kind: 'vxlan' | 'geneve';
  readonly id?: number;
  readonly port: number;
  readonly remote?: string;
  readonly local?: string;
  /** The device below it. */
  readonly link?: string;
  readonly up: boolean;
  readonly mac?: string;
  readonly mtu?: number;
  readonly master?: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** VXLAN and GENEVE devices of a namespace. */
export function udpTunnels(evidence: Evidence, netns: Netns): Maybe<readonly UdpTunnel[]> {
  const all = links(evidence, netns);
  if (isUnavailable(all)) return all;
  return all.flatMap((link) => {
    const kind = link.kind;
    const data = link.data;
    const port = integer(data['port']) ?? integer(data['dstport']);
    if ((kind !== 'vxlan' && kind !== 'geneve') || port === undefined) return [];
    const id = integer(data['id']);
    const remote = text(data['remote']) ?? text(data['remote6']) ?? text(data['group']) ?? text(data['group6']);
    const local = text(data['local']) ?? text(data['local6']);
    const below = text(data['link']);
    const tunnel: UdpTunnel = {
      device: link.name, kind, port, up: link.up, mtu: link.mtu, options: data,
      ...(id === undefined ? undefined : { id }), ...(remote === undefined ? undefined : { remote }), ...(local === undefined ? undefined : { local }),
      ...(below === undefined ? undefined : { link: below }), ...(link.address === undefined ? undefined : { mac: link.address }), ...(link.master === undefined ? undefined : { master: link.master }),
    };
    return [tunnel];
  });
}

/**
 * The shell line that makes a tunnel device again with another port: a VXLAN device cannot change its port while it
 * exists (vxlan_nl2conf: "Cannot change port number"). Keeps addresses, MAC, MTU and bridge. Undefined when the
 * device has options that would be lost.
 */
export function recreateWithPort(evidence: Evidence, netns: Netns, tunnel: UdpTunnel, port: number, own: readonly InterfaceAddress[]): string | undefined {
  if (tunnel.kind !== 'vxlan' || tunnel.id === undefined) return undefined;
  const o = tunnel.options;
  if (o['external'] === true || o['vnifilter'] === true || o['collect_metadata'] === true) return undefined;
  const device = shellQuote(tunnel.device);
  const ip = (rest: string): string => iproute(evidence, netns, 'ip', rest);
  const word = (name: string, value: string | undefined): string => (value === undefined ? '' : ` ${name} ${shellQuote(value)}`);
  const group = text(o['group']) ?? text(o['group6']);
  const add =
    `link add ${device}${word('address', tunnel.mac)} type vxlan id ${tunnel.id}` +
    (group === undefined ? word('remote', tunnel.remote) : word('group', group)) +
    `${word('local', tunnel.local)}${word('dev', tunnel.link)} dstport ${port}${o['learning'] === false ? ' nolearning' : ''}${o['gbp'] === true ? ' gbp' : ''}`;
  const lines = [ip(`link del ${device}`), ip(add)];
  if (tunnel.mtu !== undefined) lines.push(ip(`link set ${device} mtu ${tunnel.mtu}`));
  if (tunnel.master !== undefined) lines.push(ip(`link set ${device} master ${shellQuote(tunnel.master)}`));
  for (const a of own) if (a.device === tunnel.device && !/^fe80:/i.test(a.address)) lines.push(ip(`addr add ${a.address}/${a.prefixLength} dev ${device}`));
  if (tunnel.up) lines.push(ip(`link set ${device} up`));
  return lines.join(' && ');
}
