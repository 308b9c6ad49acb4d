import { links, qdiscs } from '../../evidence/network/read.ts';
import { routedPacket } from '../../evidence/network/packet.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { bitText, losingQueue, tbfLimit, tcRate, tcSize, type LosingQueue } from '../../evidence/network/queue.ts';
import { symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';

import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Qdisc } from '../../model/network.ts';
import type { Topic } from '../../model/question.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText, type Maybe } from '../../model/unavailable.ts';

export const queueNeeds: readonly Topic[] = ['qdisc', 'class', 'link', 'route', 'route6', 'rule', 'rule6'];

const REASONS = /^(QDISC_DROP|QDISC_OVERLIMIT|QDISC_CONGESTED|CAKE_FLOOD|FQ_BAND_LIMIT|FQ_HORIZON_LIMIT|FQ_FLOW_LIMIT|DUALPI2_STEP_DROP|QDISC_.*)$/;
/** Plain queues with nothing but a length: what they drop is over their limit. */
const PLAIN = new Set(['pfifo', 'bfifo', 'pfifo_fast', 'pfifo_head_drop', 'fq', 'plug']);

/** Judges a symptom for one of the two kinds: a plain queue over its limit, or a shaper or scheduler whose tail was cut. */
export function judgeQueue(kind: 'overlimit' | 'tail-drop', symptom: Symptom, evidence: Evidence): Finding {
  const at = deviceOf(symptom, evidence);
  if (at === undefined) return NOT_APPLICABLE;
  if (isUnavailable(at)) return cannotTell(unavailableText(at), 'the interfaces and routes');
  const { device, length } = at;
  const all = qdiscs(evidence, symptom.netns);
  const devices = links(evidence, symptom.netns);
  const queue = losingQueue(evidence, symptom.netns, device);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'tc -s qdisc');
  if (isUnavailable(devices)) return cannotTell(unavailableText(devices), 'ip link');
  if (queue !== undefined && isUnavailable(queue)) return cannotTell(unavailableText(queue), 'tc -s qdisc, tc -s class');
  const link = devices.find((l) => l.name === device);
  const root = all.find((q) => q.device === device && q.root);
  if (link !== undefined && (!link.up || !link.carrier || root?.kind === 'noop') && link.type !== 'loopback') return ruledOut(`${device} is down or without carrier: its queue is not the reason`);
  const chosen: LosingQueue | undefined = queue ?? (root === undefined || root.kind === 'noqueue' ? undefined : { qdisc: root, drops: 0, since: false });
  if (chosen === undefined) return ruledOut(`${device} has no queue`);
  if (symptom.kind === 'call' && queue === undefined) return ruledOut(`no queue of ${device} counts a drop`);
  const plain = PLAIN.has(chosen.qdisc.kind) && !(chosen.class !== undefined && chosen.qdisc.handle === '0:');
  if ((kind === 'overlimit') !== plain) return NOT_APPLICABLE;
  return verdict(symptom, evidence, device, length, chosen, link?.txQueueLength);
}

function deviceOf(symptom: Symptom, evidence: Evidence): Maybe<{ readonly device: string; readonly length?: number }> | undefined {
  switch (symptom.kind) {
    case 'drop':
      if (!REASONS.test(symptom.drop.reason.name) || symptom.drop.interface === undefined) return undefined;
      return { device: symptom.drop.interface, length: symptom.drop.length };
    case 'call': {
      if (symptom.call.errno !== 'ENOBUFS') return undefined;
      const routed = routedPacket(evidence, symptom);
      if (routed === undefined || isUnavailable(routed)) return routed;
      const decision = decideRoute(evidence, symptom.netns, routed.packet);
      if (isUnavailable(decision)) return decision;
      return decision.route?.device === undefined ? undefined : { device: decision.route.device };
    }
    case 'counter': {
      const m = /^qdisc (\S+) \S+.* drops$/.exec(symptom.counter);
      return m === null ? undefined : { device: m[1]! };
    }
    case 'log':
      return undefined;
  }
}

function verdict(symptom: Symptom, evidence: Evidence, device: string, length: number | undefined, lost: LosingQueue, txQueueLength: number | undefined): Finding {
  const { qdisc, class: inside } = lost;
  const where = netnsText(evidence, symptom.netns);
  const burst = qdisc.kind === 'tbf' ? tcSize(qdisc.options['burst']) : undefined;
  const never = burst !== undefined && length !== undefined && length > burst;
  const limit = qdisc.kind === 'tbf' ? tbfLimit(qdisc) : tcSize(qdisc.options['limit']);
  const name = `${qdisc.kind} ${qdisc.handle}${qdisc.parent === undefined ? ' (root)' : ` (parent ${qdisc.parent})`}`;
  const parameters = describe(qdisc, burst, limit, txQueueLength);
  const cls = inside === undefined ? '' : ` class ${inside.id}${inside.rate === undefined ? '' : ` rate ${inside.rate}`}${inside.ceil === undefined ? '' : ` ceil ${inside.ceil}`}`;
  const lines: EvidenceLine[] = [
    symptomLine(evidence, symptom),
    { source: 'tc -s qdisc', text: `${qdisc.kind} ${qdisc.handle} dev ${device}${qdisc.parent === undefined ? ' root' : ` parent ${qdisc.parent}`} ${parameters}: ${lost.since ? `${lost.drops} more` : qdisc.drops} dropped, backlog ${qdisc.backlogBytes} bytes ${qdisc.queued} packets` },
    ...(inside === undefined ? [] : [{ source: 'tc -s class', text: `${inside.kind} ${inside.id}${cls.replace(/^ class \S+/, '')}: ${inside.drops} dropped` }]),
  ];
  const why = never
    ? `A packet of ${length} bytes is larger than its burst of ${burst} bytes, so it can never pass, at any rate. Smaller packets do.`
    : qdisc.kind === 'netem' && qdisc.options['loss-random'] !== undefined
      ? 'It is there to lose packets: netem with a loss rate.'
      : `More comes than it lets out, and it holds no more than ${limit === undefined ? 'its limit' : `${limit} ${qdisc.kind === 'pfifo' || qdisc.kind === 'pfifo_fast' ? 'packets' : 'bytes or packets'}`}. What finds it full is dropped.`;
  return {
    outcome: 'found',
    confidence: lost.drops > 0 ? 0.97 : never ? 0.95 : 0.85,
    severity: 'warning',
    identity: `qdisc|${device}|${qdisc.handle}|${inside?.id ?? ''}|${never ? 'burst' : 'limit'}`,
    explanation: `The queue ${name}${cls} of ${device} in ${where} dropped packets on their way out. Its parameters are ${parameters}. ${why}`,
    culprit: { kind: 'qdisc', text: `qdisc ${qdisc.kind} ${qdisc.handle} dev ${device} ${parameters}${cls}`, qdisc: qdisc.kind, dev: device, handle: qdisc.handle, parent: qdisc.parent, class: inside?.id, ...parametersOf(qdisc, burst, limit) },
    evidence: lines,
    remedies: remediesOf(symptom, evidence, device, length, lost, { burst, limit, never, txQueueLength }),
  };
}

function describe(q: Qdisc, burst: number | undefined, limit: number | undefined, txQueueLength: number | undefined): string {
  const rate = typeof q.options['rate'] === 'number' ? `rate ${bitText(q.options['rate'] * 8)} ` : '';
  if (q.kind === 'tbf') return `${rate}burst ${burst ?? '?'} limit ${limit ?? '?'}`;
  if (q.kind === 'pfifo_fast') return `limit ${txQueueLength ?? '?'} packets (txqueuelen)`;
  if (q.kind === 'netem') return `limit ${limit ?? '?'}${q.options['loss-random'] === undefined ? '' : ' with loss'}`;
  return `${rate}${limit === undefined ? Object.entries(q.options).filter(([, v]) => typeof v !== 'object').map(([k, v]) => `${k} ${String(v)}`).join(' ') : `limit ${limit}`}`.trim() || 'defaults';
}

function parametersOf(q: Qdisc, burst: number | undefined, limit: number | undefined): Record<string, unknown> {
  return { ...(typeof q.options['rate'] === 'number' ? { rate: bitText(q.options['rate'] * 8) } : {}), ...(burst === undefined ? {} : { burst }), ...(limit === undefined ? {} : { limit }), drops: q.drops };
}

function remediesOf(symptom: Symptom, evidence: Evidence, device: string, length: number | undefined, lost: LosingQueue, p: { burst: number | undefined; limit: number | undefined; never: boolean; txQueueLength: number | undefined }): Remedy[] {
  const { qdisc: q, class: inside } = lost;
  const ns = symptom.netns;
  const at = q.root || q.parent === undefined ? 'root' : `parent ${q.parent}`;
  const handle = q.handle === '0:' ? '' : ` handle ${q.handle}`;
  const dev = shellQuote(device);
  const tc = (rest: string): string => iproute(evidence, ns, 'tc', rest);
  const remedies: Remedy[] = [];
  if (q.kind === 'tbf') {
    const rate = typeof q.options['rate'] === 'number' ? q.options['rate'] * 8 : undefined;
    const burst = p.burst, limit = p.limit;
    if (rate !== undefined && burst !== undefined && limit !== undefined) {
      const replace = (r: number, b: number, l: number): string => tc(`qdisc replace dev ${dev} ${at}${handle} tbf rate ${bitText(r)} burst ${b} limit ${l}`);
      const undo = replace(rate, burst, limit);
      if (p.never) {
        // room for a few of the largest packets, and for what the rate brings in 10 ms
        const wide = Math.max(10000, 4 * (length ?? 1514), Math.ceil(rate / 800));
        remedies.push({ text: `Give it a burst that holds the largest packets: ${wide} bytes at the same rate.`, command: replace(rate, wide, Math.max(limit, 10 * wide)), undo, risk: 'low' });
      } else {
        const offered = offeredRate(symptom, evidence, rate);
        const wide = Math.max(burst, 10000, 2 * (length ?? 1514));
        if (offered !== undefined && offered < rate * 0.9) remedies.push({ text: `Let more wait: about ${bitText(Math.ceil(offered / 1000) * 1000)} comes on the average, less than the rate; only bursts overflow.`, command: replace(rate, wide, Math.max(limit * 20, 200000)), undo, risk: 'low' });
        else {
          const next = Math.ceil(Math.max(4 * (offered ?? 0), 10 * rate) / 1e5) * 1e5;
          remedies.push({ text: `Raise the rate to ${bitText(next)} and the limit: ${offered === undefined ? 'more comes than it lets out' : `about ${bitText(Math.ceil(offered / 1000) * 1000)} comes`}, and no queue holds a lasting surplus.`, command: replace(next, wide, Math.max(limit * 20, Math.ceil(next / 8))), undo, risk: 'medium' });
        }
      }
      if (q.root) remedies.push({ text: `Or take the shaper away.`, command: tc(`qdisc del dev ${dev} root`), undo: tc(`qdisc add dev ${dev} root${handle} tbf rate ${bitText(rate)} burst ${burst} limit ${limit}`), risk: 'medium' });
    }
    return remedies;
  }
  if (q.kind === 'pfifo' || q.kind === 'bfifo') {
    const limit = p.limit ?? 1;
    const next = q.kind === 'pfifo' ? Math.max(1000, limit * 10) : Math.max(1500000, limit * 10);
    const own = tc(`qdisc replace dev ${dev} ${at}${handle} ${q.kind} limit ${next}`);
    const back = tc(`qdisc replace dev ${dev} ${at}${handle} ${q.kind} limit ${limit}`);
    const above = shaperAbove(symptom, evidence, device, lost);
    if (above !== undefined) remedies.push({ text: `${above.text}, and let ${next} ${q.kind === 'pfifo' ? 'packets' : 'bytes'} wait: no queue holds a lasting surplus.`, command: `${tc(above.command)} && ${own}`, undo: `${tc(above.undo)} && ${back}`, risk: 'medium' });
    remedies.push({ text: `Let ${next} ${q.kind === 'pfifo' ? 'packets' : 'bytes'} wait.`, command: tc(`qdisc replace dev ${dev} ${at}${handle} ${q.kind} limit ${next}`), undo: tc(`qdisc replace dev ${dev} ${at}${handle} ${q.kind} limit ${limit}`), risk: 'low' });
    return remedies;
  }
  if (q.kind === 'pfifo_fast') {
    const length_ = p.txQueueLength ?? 1000;
    return [{ text: `Let more packets wait on ${device}.`, command: iproute(evidence, ns, 'ip', `link set ${dev} txqueuelen ${Math.max(1000, length_ * 10)}`), undo: iproute(evidence, ns, 'ip', `link set ${dev} txqueuelen ${length_}`), risk: 'low' }];
  }
  if (inside !== undefined && (inside.kind === 'htb') && inside.rate !== undefined) {
    const rate = tcRate(inside.rate), ceil = tcRate(inside.ceil ?? inside.rate);
    if (rate !== undefined && ceil !== undefined) {
      const parent = inside.parent === undefined ? `parent ${q.handle}` : `parent ${inside.parent}`;
      const change = (r: number, c: number): string => tc(`class change dev ${dev} ${parent} classid ${inside.id} htb rate ${bitText(r)} ceil ${bitText(c)}`);
      const next = Math.max(10 * ceil, 10e6);
      remedies.push({ text: `Raise the rate of class ${inside.id} to ${bitText(next)}.`, command: change(next, next), undo: change(rate, ceil), risk: 'medium' });
    }
    return [...remedies, { text: 'Or give its leaf a longer queue, or classify this traffic into another class.', risk: 'medium' }];
  }
  if (q.kind === 'netem') {
    remedies.push({ text: 'Take netem away: it loses packets on purpose.', command: tc(`qdisc del dev ${dev} ${at}`), risk: 'medium' });
    return remedies;
  }
  if (p.limit !== undefined && ['codel', 'fq_codel', 'sfq', 'fq', 'pie', 'fq_pie', 'choke'].includes(q.kind)) {
    remedies.push({ text: `Let more wait.`, command: tc(`qdisc change dev ${dev} ${at}${handle} ${q.kind} limit ${Math.max(10240, p.limit * 10)}`), undo: tc(`qdisc change dev ${dev} ${at}${handle} ${q.kind} limit ${p.limit}`), risk: 'low' });
  }
  if (q.root) remedies.push({ text: `Take the qdisc away; the device then has its default one.`, command: tc(`qdisc del dev ${dev} root`), risk: 'medium' });
  return remedies;
}

/** The shaper that a plain queue hangs under, where more comes than its rate lets out; undefined where only bursts overflow. */
function shaperAbove(symptom: Symptom, evidence: Evidence, device: string, lost: LosingQueue): { readonly text: string; readonly command: string; readonly undo: string } | undefined {
  const inside = lost.class;
  const dev = shellQuote(device);
  const rate = inside?.kind === 'htb' ? tcRate(inside.ceil ?? inside.rate) : undefined;
  if (inside !== undefined && rate !== undefined) {
    const offered = offeredRate(symptom, evidence, rate);
    if (offered === undefined || offered < rate * 1.3) return undefined;
    const next = Math.ceil((4 * offered) / 1e5) * 1e5;
    const change = (r: string, c: string): string => `class change dev ${dev} parent ${inside.parent ?? `${inside.id.split(':')[0]}:`} classid ${inside.id} htb rate ${r} ceil ${c}`;
    return { text: `About ${bitText(Math.ceil(offered / 1000) * 1000)} comes to class ${inside.id}, more than its ${bitText(rate)}: raise its rate to ${bitText(next)}`, command: change(bitText(next), bitText(next)), undo: change(inside.rate ?? bitText(rate), inside.ceil ?? bitText(rate)) };
  }
  const all = qdiscs(evidence, symptom.netns);
  const tbf = isUnavailable(all) ? undefined : all.find((q) => q.device === device && q.kind === 'tbf' && q.handle.split(':')[0] === lost.qdisc.parent?.split(':')[0]);
  const slow = typeof tbf?.options['rate'] === 'number' ? tbf.options['rate'] * 8 : undefined;
  const burst = tcSize(tbf?.options['burst']);
  const limit = tbf === undefined ? undefined : tbfLimit(tbf);
  if (tbf === undefined || slow === undefined || burst === undefined || limit === undefined) return undefined;
  const offered = offeredRate(symptom, evidence, slow);
  if (offered === undefined || offered < slow * 1.3) return undefined;
  const next = Math.ceil((4 * offered) / 1e5) * 1e5;
  const change = (r: number, b: number): string => `qdisc change dev ${dev} ${tbf.root || tbf.parent === undefined ? 'root' : `parent ${tbf.parent}`} handle ${tbf.handle} tbf rate ${bitText(r)} burst ${b} limit ${limit}`;
  return { text: `About ${bitText(Math.ceil(offered / 1000) * 1000)} comes to tbf ${tbf.handle} above it, more than its ${bitText(slow)}: raise its rate to ${bitText(next)}`, command: change(next, Math.max(burst, 10000)), undo: change(slow, burst) };
}

/** Bits a second that came to the queue: what passed and what it dropped since the reading before the loss; else from the drop counters. */
function offeredRate(symptom: Symptom, evidence: Evidence, rate: number): number | undefined {
  if (symptom.kind !== 'drop') return undefined;
  const { drop } = symptom;
  const count = evidence.dropCounts().find((c) => c.netns === symptom.netns && c.ifindex === drop.ifindex && c.reason.number === drop.reason.number && c.place.address === drop.place.address);
  const seconds = count === undefined ? 0 : Number(count.time - symptom.first) / 1e9;
  if (count === undefined || seconds < 0.5) return undefined;
  // while it drops, it sends at its rate
  return rate + (count.bytes * 8) / seconds;
}
