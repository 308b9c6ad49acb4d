import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { addresses, links } from '../../evidence/network/read.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Netns } from '../../base/brand.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { InterfaceAddress, Link } from '../../model/network.ts';
import type { Topic } from '../../model/question.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const vxlanNeeds: readonly Topic[] = ['link', 'address'];

const GBP = 0x80; //   flag byte, draft-smith-vxlan-group-policy
const VNI = 0x08; //   I flag, RFC 7348

/** Judges a packet that the VXLAN receiver refused: unknown VNI, or a header with flags the device was not made for. */
export function judgeVxlan(kind: 'unknown-vni' | 'invalid-header', drop: DropEvent, evidence: Evidence): Finding {
  const reason = drop.reason.name;
  const named = kind === 'unknown-vni' ? 'VXLAN_VNI_NOT_FOUND' : 'VXLAN_INVALID_HDR';
  if (reason !== named && !(reason === 'NOT_SPECIFIED' && symbolOf(drop) === 'vxlan_rcv')) return NOT_APPLICABLE;
  const all = links(evidence, drop.netns);
  const own = addresses(evidence, drop.netns);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'ip -d link');
  const { ip, transport, inner } = drop.packet;
  const port = transport?.kind === 'udp' ? transport.destinationPort : undefined;
  const tunnels = all.filter((l) => l.kind === 'vxlan' && (port === undefined || l.data['port'] === port));
  const vni = inner?.key;
  const known = vni !== undefined && tunnels.some((l) => l.data['id'] === vni);
  const flagByte = inner?.flags === undefined ? undefined : inner.flags > 0xff ? inner.flags >>> 24 : inner.flags;
  if (reason !== named && (kind === 'unknown-vni') === (known || vni === undefined)) return ruledOut(known ? `VNI ${vni} is known here` : 'the VNI is not');
  const near = tunnels.find((l) => l.data['remote'] !== undefined && l.data['remote'] === ip?.source) ?? tunnels.find((l) => l.data['local'] === ip?.destination) ?? tunnels[0];
  const device = kind === 'invalid-header' && known ? tunnels.find((l) => l.data['id'] === vni) ?? near : near;
  const sender = ip === undefined ? undefined : findOwnerOfAddress(evidence, drop.netns, ip.source);
  if (sender !== undefined && isUnavailable(sender) && sender.unavailable === 'pending') return cannotTell(unavailableText(sender), 'the other namespaces');
  const theirs = sender === undefined || isUnavailable(sender) ? undefined : links(evidence, sender.netns);
  if (theirs !== undefined && isUnavailable(theirs) && theirs.unavailable === 'pending') return cannotTell(unavailableText(theirs), 'the tunnel devices of the sender');
  const other = theirs === undefined || isUnavailable(theirs) ? undefined : theirs.find((l) => l.kind === 'vxlan' && (vni === undefined || l.data['id'] === vni));
  const where = netnsText(evidence, drop.netns);
  const from = sender === undefined || isUnavailable(sender) ? ip?.source ?? '?' : `${ip?.source} (${netnsText(evidence, sender.netns)}${other === undefined ? '' : `, ${other.name}`})`;
  const lines = [
    dropLine(evidence, drop),
    ...(inner === undefined ? [] : [{ source: 'packet bytes', text: `VXLAN header: VNI ${vni ?? '?'}${flagByte === undefined ? '' : `, flags 0x${flagByte.toString(16).padStart(2, '0')}`}` }]),
    ...tunnels.map((l) => ({ source: 'ip -d link', text: vxlanText(l) })),
    ...(other === undefined ? [] : [{ source: 'ip -d link at the sender', text: vxlanText(other) }]),
  ];
  const list = isUnavailable(own) ? [] : own;
  const remedies: Remedy[] = [];
  // the sender's entry for our inner MAC stays right, for the device keeps its address
  const gbp = kind === 'invalid-header' && (flagByte === undefined || (flagByte & GBP) !== 0 || other?.data['gbp'] === true);
  const wantGbp = gbp && device?.data['gbp'] !== true;
  if (device !== undefined && kind === 'unknown-vni' && vni !== undefined) remedies.push({ text: `Make ${device.name} again with VNI ${vni}: the number of a device cannot be changed. Routes by it have to be added again.`, command: recreate(evidence, drop.netns, device, list, { id: vni }), undo: recreate(evidence, drop.netns, device, list, {}), risk: 'medium' });
  if (device !== undefined && kind === 'invalid-header' && wantGbp) remedies.push({ text: `Make ${device.name} again with gbp, as the sender's is. Routes by it have to be added again.`, command: recreate(evidence, drop.netns, device, list, { gbp: true }), undo: recreate(evidence, drop.netns, device, list, {}), risk: 'medium' });
  remedies.push({ text: kind === 'unknown-vni' ? `Or give the sender's device the VNI that is used here${device === undefined ? '' : ` (${String(device.data['id'])})`}.` : `Or make the sender's device ${other?.name ?? ''} without the extension.`, risk: 'medium' });
  const ids = tunnels.map((l) => `${l.name} has ${String(l.data['id'])}`).join(', ');
  const explanation = kind === 'unknown-vni'
    ? `VXLAN packets with VNI ${vni ?? '?'} from ${from} reached ${where}${port === undefined ? '' : ` at UDP port ${port}`}, and no device there has that VNI. ${ids === '' ? 'There is no VXLAN device on that port.' : `On that port, ${ids}.`} The two ends of the tunnel disagree about its number.`
    : `VXLAN packets${vni === undefined ? '' : ` with VNI ${vni}`} from ${from} reached ${where} with a header that ${device?.name ?? 'the tunnel device'} there refuses${flagByte === undefined ? '' : ` (flags 0x${flagByte.toString(16).padStart(2, '0')})`}. ${gbp ? `The group-policy bit is set, but ${device?.name ?? 'the device'} was made without gbp` : flagByte !== undefined && (flagByte & VNI) === 0 ? 'The bit that says that a VNI is there is not set' : 'Bits are set that the device was not made for'}. The two ends of the tunnel were configured differently.`;
  return {
    outcome: 'found',
    confidence: reason === named ? (device === undefined ? 0.93 : 0.97) : 0.85,
    severity: 'warning',
    identity: `vxlan|${kind}|${vni ?? ''}|${device?.name ?? ''}`,
    explanation,
    culprit: { kind: 'tunnel', text: device === undefined ? `vxlan VNI ${vni ?? '?'}: no device for it in ${where}` : kind === 'unknown-vni' ? `vxlan device ${device.name} id ${String(device.data['id'])} in ${where}, packets carry VNI ${vni ?? '?'}` : `vxlan device ${device.name} id ${String(device.data['id'])}${device.data['gbp'] === true ? ' gbp' : ' without gbp'} in ${where}`, interface: device?.name, vni: device?.data['id'], expected: vni, port },
    evidence: lines,
    remedies,
  };
}

function vxlanText(l: Link): string {
  const d = l.data;
  return `${l.name} vxlan id ${String(d['id'] ?? '?')}${d['remote'] === undefined ? '' : ` remote ${String(d['remote'])}`}${d['local'] === undefined ? '' : ` local ${String(d['local'])}`} dstport ${String(d['port'] ?? '?')}${d['gbp'] === true ? ' gbp' : ''}${d['external'] === true ? ' external' : ''}`;
}

/** One line that makes the device anew with some parameters changed; its MAC and addresses stay. */
export function recreate(evidence: Evidence, netns: Netns, link: Link, own: readonly InterfaceAddress[], change: { readonly id?: number; readonly gbp?: boolean }): string {
  const d = link.data;
  const word = (key: string, option: string): string => (typeof d[key] === 'string' || typeof d[key] === 'number' ? ` ${option} ${shellQuote(String(d[key]))}` : '');
  const ip = (rest: string): string => iproute(evidence, netns, 'ip', rest);
  const name = shellQuote(link.name);
  const gbp = change.gbp ?? d['gbp'] === true;
  const ttl = typeof d['ttl'] === 'number' && d['ttl'] > 0 ? ` ttl ${d['ttl']}` : '';
  const make = `link add ${name}${link.address === undefined ? '' : ` address ${link.address}`} mtu ${link.mtu} type vxlan id ${change.id ?? String(d['id'])}${word('remote', 'remote')}${word('remote6', 'remote')}${word('group', 'group')}${word('group6', 'group')}${word('local', 'local')}${word('local6', 'local')}${word('port', 'dstport')}${word('link', 'dev')}${ttl}${d['learning'] === false ? ' nolearning' : ''}${gbp ? ' gbp' : ''}`;
  const lines = [ip(`link del ${name}`), ip(make)];
  for (const a of own) if (a.device === link.name && a.scope === 'global') lines.push(ip(`addr add ${a.address}/${a.prefixLength} dev ${name}${a.family === 6 ? ' nodad' : ''}`));
  if (link.master !== undefined) lines.push(ip(`link set ${name} master ${shellQuote(link.master)}`));
  lines.push(ip(`link set ${name} up`));
  return lines.join(' && ');
}
