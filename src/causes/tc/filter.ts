import { filterMatches } from '../../evidence/network/classify.ts';
import { peerOf } from '../../evidence/network/hosts.ts';
import { filters, links } from '../../evidence/network/read.ts';
import { dropLine, inStack, symbolOf } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Link, TrafficFilter } from '../../model/network.ts';
import type { Topic } from '../../model/question.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const filterNeeds: readonly Topic[] = ['filter', 'link', 'address'];

/** Judges a TC_INGRESS or TC_EGRESS drop: which filter, and whether its policer or its verdict did it. */
export function judgeFilter(kind: 'policer-drop' | 'filter-drop', symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  // bpf_redirect() to a device that is not there, or is down (net/core/filter.c)
  const nowhere = drop.reason.name === 'NOT_SPECIFIED' && /^(skb_do_redirect|__bpf_redirect)$/.test(symbolOf(drop));
  const egress = nowhere ? !inStack(drop, '__netif_receive_skb_core', 'sch_handle_ingress') : drop.reason.name === 'TC_EGRESS';
  if (!egress && !nowhere && drop.reason.name !== 'TC_INGRESS') return NOT_APPLICABLE;
  const direction = egress ? 'egress' : 'ingress';
  const all = links(evidence, symptom.netns);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'ip link');
  const device = drop.interface ?? all.find((l) => l.index === (egress ? drop.ifindex : drop.incoming ?? drop.ifindex))?.name;
  if (device === undefined) return cannotTell('the device is not known', 'the interface of the drop');
  const list = filters(evidence, symptom.netns, device);
  if (isUnavailable(list)) return cannotTell(unavailableText(list), `tc filter show dev ${device} ${direction}`);
  const here = list.filter((f) => f.direction === direction || (f.direction === 'other' && egress));
  if (here.length === 0) return ruledOut(`there is no tc filter at ${direction} of ${device}`);
  const ranked = here.map((filter) => ({ filter, match: filterMatches(filter, drop), way: wayOf(filter, all) })).filter((r) => r.match !== false && r.way !== 'pass');
  ranked.sort((a, b) => rank(b) - rank(a) || a.filter.preference - b.filter.preference);
  const best = ranked[0];
  if (best === undefined) return ruledOut(`none of the ${here.length} tc filters at ${direction} of ${device} drops this packet`);
  const police = best.way === 'police';
  if (police !== (kind === 'policer-drop')) return NOT_APPLICABLE;
  if (nowhere && best.way !== 'program') return NOT_APPLICABLE;
  return verdict(symptom, evidence, device, direction, best.filter, nowhere ? 'nowhere' : best.way, best.match === true, all);
}

type Way = 'drop' | 'police' | 'down' | 'program' | 'nowhere' | 'mirred' | 'pass';

/** How a filter can drop. */
function wayOf(f: TrafficFilter, all: readonly Link[]): Way {
  const action = f.actions.find((a) => a.kind === 'police') ?? f.actions.find((a) => /^(drop|shot)$/.test(a.control ?? '')) ?? f.actions.find((a) => a.kind === 'mirred') ?? f.actions[0];
  if (action?.kind === 'police') return 'police';
  if (action !== undefined && /^(drop|shot)$/.test(action.control ?? '')) return 'drop';
  if (action?.kind === 'mirred') return all.some((l) => l.name === action.toDevice && (!l.up || !l.carrier)) ? 'down' : 'mirred';
  if (f.kind === 'bpf') return f.bytecode !== undefined && f.directAction ? 'drop' : 'program';
  if (action?.kind === 'bpf') return 'program';
  return action === undefined && !f.directAction ? 'pass' : 'program';
}

const WEIGHT: Readonly<Record<Way, number>> = { drop: 4, down: 4, police: 3, program: 2, nowhere: 2, mirred: 1, pass: 0 };
const rank = (r: { filter: TrafficFilter; match: boolean | undefined; way: Way }): number => WEIGHT[r.way] + (r.match === true ? 3 : 0) + (r.filter.actions.some((a) => a.drops > 0) ? 2 : 0);

function verdict(symptom: Extract<Symptom, { kind: 'drop' }>, evidence: Evidence, device: string, direction: 'ingress' | 'egress', f: TrafficFilter, way: Way, matched: boolean, all: readonly Link[]): Finding {
  const { drop } = symptom;
  const where = netnsText(evidence, symptom.netns);
  const program = f.program === undefined ? '' : ` program ${f.program.name ?? ''}${f.program.id === undefined ? '' : ` id ${f.program.id}`}${f.program.tag === undefined ? '' : ` tag ${f.program.tag}`}`;
  const action = f.actions.map((a) => `${a.kind}${a.control === undefined ? '' : ` ${a.control}`}${a.toDevice === undefined ? '' : ` to ${a.toDevice}`}${a.rate === undefined ? '' : ` rate ${a.rate}`}`).join(', ');
  const text = `filter dev ${device} ${direction} pref ${f.preference} protocol ${f.protocol} ${f.kind}${f.handle === undefined ? '' : ` handle ${f.handle}`}${f.directAction ? ' direct-action' : ''}${program}${action === '' ? '' : ` action ${action}`}`;
  const hang = f.direction === 'other' ? `parent ${f.parent ?? '1:'}` : direction;
  const remedies: Remedy[] = [];
  const target = f.actions.find((a) => a.kind === 'mirred')?.toDevice;
  const aim = target === undefined ? undefined : all.find((l) => l.name === target);
  const peer = way === 'down' && target !== undefined && aim?.up === true ? peerOf(evidence, symptom.netns, target) : undefined;
  if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return cannotTell(unavailableText(peer), 'the other end of the device');
  if (peer !== undefined && !isUnavailable(peer)) remedies.push({ text: `Bring up ${peer.link.name} in ${netnsText(evidence, peer.netns)}, the other end of ${target}, to which the filter redirects.`, command: iproute(evidence, peer.netns, 'ip', `link set ${shellQuote(peer.link.name)} up`), undo: iproute(evidence, peer.netns, 'ip', `link set ${shellQuote(peer.link.name)} down`), risk: 'low' });
  else if (way === 'down' && target !== undefined && aim?.up !== true) remedies.push({ text: `Bring up ${target}, to which the filter redirects.`, command: iproute(evidence, symptom.netns, 'ip', `link set ${shellQuote(target)} up`), undo: iproute(evidence, symptom.netns, 'ip', `link set ${shellQuote(target)} down`), risk: 'low' });
  remedies.push({ text: 'Delete the filter. What it was for is lost with it: keep its definition (`tc filter show`).', command: iproute(evidence, symptom.netns, 'tc', `filter del dev ${shellQuote(device)} ${hang} pref ${f.preference}${f.handle === undefined || f.kind === 'u32' ? '' : ` handle ${f.handle} ${f.kind}`}`), risk: 'medium' });
  const why = way === 'police' ? 'More came than its policer lets through, and the policer drops the excess.'
    : way === 'down' ? `It redirects packets to ${target}, which is ${aim?.up === true ? 'without carrier' : 'down'}, so they are dropped.`
    : way === 'mirred' ? `It redirects packets to ${target}, which did not take them.`
    : way === 'nowhere' ? 'Its BPF program redirects packets to a device that does not exist, or is down.'
    : way === 'drop' ? `${matched ? 'The packet matches it, and its' : 'Its'} verdict is to drop.` : 'Its BPF program decides, and its verdict was to drop.';
  return {
    outcome: 'found',
    confidence: matched && (way === 'drop' || way === 'police' || way === 'down') ? 0.98 : way === 'mirred' ? 0.75 : 0.93,
    severity: 'warning',
    identity: `filter|${device}|${direction}|${f.preference}|${f.handle ?? ''}`,
    explanation: `Packets from ${drop.packet.ip?.source ?? drop.packet.ethernet?.source ?? '?'} to ${drop.packet.ip?.destination ?? drop.packet.ethernet?.destination ?? '?'} were dropped at ${direction} of ${device} in ${where}, before ${direction === 'egress' ? 'they left: the sender is not told, and tcpdump here does not show them' : 'any protocol saw them, though tcpdump shows them'}. A traffic-control filter is there: pref ${f.preference}, ${f.kind}${f.handle === undefined ? '' : ` handle ${f.handle}`}${program}. ${why}`,
    culprit: { kind: 'filter', text, dev: device, direction, pref: f.preference, filter: f.kind, protocol: f.protocol, handle: f.handle, program: f.program?.id },
    evidence: [dropLine(evidence, drop), { source: `tc filter show dev ${device} ${direction}`, text }],
    remedies,
  };
}
