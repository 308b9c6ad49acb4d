import { translationOf, around, conntrackTable, deletionText, deletions, entriesOf, hookText, raceAround, rivalryOf, ruleDidIt, snatRules, suspicionOf, tupleText, type Deletion, type Destroyed, type Rivalry, type Suspicion } from '../../evidence/conntrack/index.ts';
import { mono } from '../../base/brand.ts';
import { plural } from '../../base/text.ts';
import { counterDeltas, movedBy } from '../../evidence/counters/index.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { ConntrackEntry } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Culprit, EvidenceLine } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { judgeRewrite } from './port-rewrite.ts';
import { natChoice } from './nat-choice.ts';
import { remediesOf, whyLost } from './race-words.ts';
import { blind, innocence, whatHappened } from './words.ts';

/** What made two packets both the first of one connection. */
export interface Race {
  readonly rivalry?: Rivalry;
  readonly winner?: Pick<ConntrackEntry, 'original' | 'reply'>;
  readonly destroyed?: Destroyed;
  readonly deletion?: Deletion;
}

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'log') return judgeRewrite(symptom, evidence);
  const s = suspicionOf(symptom, evidence);
  if (s === undefined) return NOT_APPLICABLE;
  if (s.stage === 'track') return ruledOut(`it died at ${hookText(s) ?? 'OUTPUT'}; entries are inserted at POSTROUTING and INPUT`);
  if (s.unconfirmed === false) return ruledOut('its connection was in the table already, so nothing had to be inserted');
  if (s.untracked === true) return ruledOut('the packet carried no connection entry that could have been inserted');
  if (s.dying) return ruledOut('its entry was deleted before it could be inserted');
  const cannot = blind(s);
  if (cannot !== undefined) return cannot;
  if (!isUnavailable(s.losses) && s.losses.clash === 0) return ruledOut(`conntrack counted no lost clash (${s.losses.text})`);
  if (s.stage === 'unknown' && s.drop === undefined && isUnavailable(s.losses)) return NOT_APPLICABLE;
  const choice = natChoice(s, evidence);
  if (choice !== undefined && !isUnavailable(choice) && choice.exhausted) return ruledOut(`all ${choice.taken} ports of ${choice.rule.words} are taken: no race is needed for that`);
  const race = raceOf(s, evidence);
  const other = ruleDidIt(s);
  if (other !== undefined && race.winner === undefined && race.destroyed === undefined) return ruledOut('a rule fits the packet, and its counter moved');
  if (s.drop === undefined && race.deletion === undefined && race.winner === undefined && isUnavailable(s.losses)) return cannotTell('the packet itself was not seen', 'a drop probe (BPF or tracefs)');
  return verdict(s, evidence, race);
}

function raceOf(s: Suspicion, evidence: Evidence): Race {
  const { from, to } = around(s.at);
  const deleted = deletions(evidence, s.netns, from, mono(to + 1_250_000_000n)).filter((d) => (d.author.started ?? d.first) <= (d.author.started === undefined ? to : s.at));
  const { winner: won, destroyed } = s.original === undefined ? {} : raceAround(evidence, s.netns, s.original, s.reply, s.at);
  const asked = destroyed?.author === undefined ? undefined : deleted.find((d) => d.author.port === destroyed.author?.port);
  const deletion = asked ?? deleted.at(-1);
  const table = won === undefined && s.original !== undefined ? conntrackTable(evidence, s.netns) : undefined;
  const listed = table === undefined || isUnavailable(table) || s.original === undefined ? undefined : inTable(table, s);
  const winner = won?.event.entry ?? listed?.entry;
  const rivalry = won?.rivalry ?? listed?.rivalry;
  return {
    ...(rivalry === undefined ? {} : { rivalry }), ...(winner === undefined ? {} : { winner }),
    // another connection with the same translated tuple has nothing to do with a delete
    ...(destroyed === undefined || rivalry === 'same-reply' ? {} : { destroyed }), ...(deletion === undefined || rivalry === 'same-reply' ? {} : { deletion }),
  };
}

function inTable(table: Parameters<typeof entriesOf>[0], s: Suspicion): { entry: ConntrackEntry; rivalry: Rivalry } | undefined {
  for (const entry of table.entries) {
    const rivalry = rivalryOf(entry, s.original!, s.reply);
    if (rivalry !== undefined) return { entry, rivalry };
  }
  return undefined;
}

function verdict(s: Suspicion, evidence: Evidence, race: Race): Finding {
  const clean = innocence(s);
  const counted = !isUnavailable(s.losses) && s.losses.clash > 0;
  const seen = race.destroyed !== undefined || race.winner !== undefined || race.deletion?.seen === true;
  const confidence = Math.min(0.98, (s.drop === undefined ? 0.5 : 0.62) + (s.unconfirmed === true ? 0.14 : 0) + (clean === undefined ? 0 : 0.1) + (counted ? 0.12 : 0) + (seen ? 0.1 : race.deletion === undefined ? 0 : 0.05));
  return {
    outcome: 'found',
    confidence,
    severity: 'warning',
    identity: identityOf(s, race),
    explanation: `${whatHappened(s, evidence)} ${whatRaced(s, race)} ${whyLost(s, evidence, race)}`,
    culprit: culpritOf(s, evidence, race),
    ...(hookText(s) === undefined ? {} : { hook: hookText(s)! }),
    evidence: lines(s, evidence, race, clean),
    remedies: remediesOf(s, evidence, race),
  };
}

/** Flushes of one author, though each is another pid, are one incident. */
function identityOf(s: Suspicion, race: Race): string {
  if (race.deletion !== undefined) return `delete ${race.deletion.author.process?.cmdline ?? race.deletion.author.process?.comm ?? 'by an unknown process'}`;
  if (race.rivalry === 'same-reply') return `translation to ${s.reply?.destination ?? ''}`;
  return `first packets ${s.original === undefined ? '' : `${s.original.protocol} ${s.original.destination} ${s.original.destinationPort ?? ''}`}`;
}

function whatRaced(s: Suspicion, race: Race): string {
  const flow = s.original === undefined ? 'its connection' : tupleText(s.original);
  const { deletion, destroyed, winner } = race;
  if (deletion !== undefined) {
    const before = ms(s.at - (deletion.first < s.at ? deletion.first : (deletion.author.started ?? s.at)));
    const when = before === undefined ? 'at that moment' : `${before} before`;
    const left = destroyed?.left === undefined || destroyed.left === 0 ? '' : `, which had ${destroyed.left} s to live,`;
    const rival = race.rivalry === 'reverse' ? 'a packet of the opposite direction' : 'another packet of the same flow';
    const what = destroyed === undefined ? `Entries were deleted ${when}` : `The connection entry of ${flow}${left} was deleted ${when}`;
    return `${what} by ${deletion.author.text}${deletion.count > 1 ? `, with ${plural(deletion.count - 1, 'other')}` : ''}, so the next packets were first packets again; ${rival} on another CPU put its entry into the table first.`;
  }
  if (race.rivalry === 'same-reply' && winner !== undefined) {
    const to = s.reply === undefined ? 'one tuple' : tupleText({ ...s.reply, source: s.reply.destination, destination: s.reply.source, ...(s.reply.destinationPort === undefined ? {} : { sourcePort: s.reply.destinationPort }), ...(s.reply.sourcePort === undefined ? {} : { destinationPort: s.reply.sourcePort }) });
    return `At the same time another connection, ${tupleText(winner.original)}, was translated to the same address and port (${to}), and its entry was in the table first.`;
  }
  if (race.rivalry === 'reverse') return `Both ends of ${flow} sent their first packet at the same time, and the entry of the opposite direction was in the table first.`;
  if (race.rivalry === 'same-original') return `Two first packets of ${flow} were sent at the same time on two CPUs${winner !== undefined && s.reply !== undefined && translationOf({ original: s.original!, reply: s.reply })?.destination !== undefined ? ' and may have been sent to different backends' : ''}, and the other one put its entry into the table first.`;
  return `Conntrack counted that it could not insert the entry of ${flow}, because one with the same tuple was in the table (insert_failed and drop grew together).`;
}

function lines(s: Suspicion, evidence: Evidence, race: Race, clean: string | undefined): EvidenceLine[] {
  const result: EvidenceLine[] = [...s.lines];
  const discarded = ipCounters(s, evidence);
  if (discarded !== undefined) result.push({ source: '/proc/net/snmp', time: evidence.iso(evidence.now), text: discarded });
  if (s.unconfirmed === true && s.original !== undefined) result.push({ source: 'drop probe', text: `the packet's conntrack entry was not in the table yet: ${tupleText(s.original)}${s.reply === undefined ? '' : `, replies expected as ${tupleText(s.reply)}`}${s.bound === true ? '; NAT had bound it' : ''}` });
  if (race.destroyed !== undefined) result.push({ source: 'conntrack events', time: evidence.iso(race.destroyed.time), text: `DESTROY ${tupleText(race.destroyed.entry.original)}${race.destroyed.left === undefined ? '' : `, ${race.destroyed.left} s left`}${race.destroyed.author === undefined ? ', by the kernel' : `, asked for by ${race.destroyed.author.text}`}` });
  if (race.deletion !== undefined) result.push({ source: race.deletion.seen ? 'conntrack events' : 'exec probe', time: evidence.iso(race.deletion.first), text: deletionText(race.deletion) });
  if (race.winner !== undefined) result.push({ source: 'conntrack events', text: `the entry that was in the table: ${tupleText(race.winner.original)}, replies expected as ${tupleText(race.winner.reply)}` });
  if (clean !== undefined) result.push({ source: 'rules', text: clean });
  return result;
}

/** Where the loss shows in IP's own counters: on the way out as a discard, on the way in as nothing but a gap. */
function ipCounters(s: Suspicion, evidence: Evidence): string | undefined {
  if (s.stage !== 'confirm' || s.hook?.family !== 'ip') return undefined;
  const deltas = counterDeltas(evidence, s.netns, 'snmp');
  if (isUnavailable(deltas)) return undefined;
  const by = (name: string): number => movedBy(deltas, `Ip ${name}`);
  if (s.hook.hook === 'postrouting') return by('OutDiscards') > 0 ? `since before the loss: Ip OutDiscards +${by('OutDiscards')}` : undefined;
  // forwarded packets and fragments are received and not delivered either
  if (by('ForwDatagrams') > 0 || by('ReasmReqds') > 0) return undefined;
  const gap = by('InReceives') - by('InDelivers') - by('InDiscards') - by('InHdrErrors') - by('InAddrErrors') - by('InUnknownProtos');
  return gap > 0 ? `since before the loss: Ip InReceives +${by('InReceives')}, InDelivers +${by('InDelivers')}: ${plural(gap, 'packet')} vanished in between, and no counter of errors tells of it` : undefined;
}

function culpritOf(s: Suspicion, evidence: Evidence, race: Race): Culprit {
  const { deletion } = race;
  if (deletion !== undefined) {
    const { process, parent } = deletion.author;
    return {
      kind: 'process', text: deletionText(deletion), flush: deletion.flush ?? false, deleted: deletion.count,
      ...(process === undefined ? { port: deletion.author.port } : { pid: process.pid, comm: process.comm, cmdline: process.cmdline, ...(process.unit === undefined ? {} : { unit: process.unit }), ...(process.container === undefined ? {} : { container: process.container }) }),
      ...(parent === undefined ? {} : { parent: { pid: parent.pid, comm: parent.comm, cmdline: parent.cmdline } }),
    };
  }
  if (race.rivalry === 'same-reply') {
    const rules = snatRules(evidence, s.netns, { protocol: s.original?.protocol ?? 0, ...(s.reply === undefined ? {} : { translated: s.reply.destination }) });
    const rule = isUnavailable(rules) ? undefined : rules[0];
    if (rule !== undefined) return { kind: 'rule', text: `${rule.words}: it gave two connections one translated tuple`, tool: rule.placed.table.tool, family: rule.placed.table.family, table: rule.placed.table.name, chain: rule.placed.chain.name, position: rule.placed.rule.position, ...(rule.placed.rule.handle === undefined ? {} : { handle: rule.placed.rule.handle }), rule: rule.placed.rule.text };
    return { kind: 'unknown', text: `source translation in ${netnsText(evidence, s.netns)} gave two connections one tuple` };
  }
  const flow = s.original === undefined ? 'one flow' : tupleText(s.original);
  const task = s.call?.task ?? (s.drop?.softirq === false ? s.drop.task : undefined);
  if (task !== undefined && race.rivalry !== 'reverse') return { kind: 'process', text: `${task.comm} (pid ${task.pid}) and another sender of ${flow} sent their first packets at once`, pid: task.pid, comm: task.comm };
  return { kind: 'unknown', text: `two first packets of ${flow} at once; what made the flow new was not seen` };
}

function ms(ns: bigint): string | undefined {
  if (ns < 1_000_000n) return undefined;
  return `${Number(ns / 1_000_000n)} ms`;
}

export const cause: Cause = {
  id: 'conntrack.insert-race',
  title: 'two packets raced to make one connection entry, and the loser was dropped',
  needs: ['proc', 'conntrack-stats', 'conntrack-table', 'process', 'nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'link', 'ipset', 'route-get', 'address', 'sysctl', 'ebtables', 'arptables', 'socket-owner', 'netns-names'],
  knowledge: {
    what: 'The first packet of a connection gets an entry when it enters netfilter (OUTPUT, PREROUTING), but the entry goes into the table only at the end (POSTROUTING, INPUT). When two packets of one connection are under way at once, each has an entry of its own, and the second one finds the tuple taken. The kernel merges the two where it can; where it cannot, the packet is dropped, and a local sender gets EPERM. It happens when both ends speak first, when several threads send the first packets, when translation gives two connections one tuple, and right after somebody deleted entries of a busy flow (conntrack -F, conntrack -D), because every flow is new then.',
    signs: ['Operation not permitted now and then from send, with no rule that drops', 'insert_failed and drop in /proc/net/stat/nf_conntrack grow by the same number', 'NETFILTER_DROP at nf_hook_slow, called by ip_output (POSTROUTING: the sender gets EPERM) or ip_local_deliver (INPUT: nobody is told)', 'conntrack -E shows DESTROY with a portid just before', 'DNS lookups that take 5 s (A and AAAA sent at once from one socket through DNAT)', 'OpenVPN: write UDPv4: Operation not permitted (code=1); Incoming packet rejected from … (the second symptom: a rewritten source port)'],
    fixes: ['delete only the entries that must go (conntrack -D with a filter) instead of all', 'exempt the flow from tracking in both directions (NOTRACK)', 'SNAT and MASQUERADE with --random-fully (nft: fully-random) when two connections get one tuple', 'a kernel that resolves the clash: 6.12 for flows that both ends begin', 'DNS: options single-request-reopen or use-vc in resolv.conf, or a local cache'],
    functions: ['nf_hook_slow', '__nf_conntrack_confirm', 'nf_ct_resolve_clash', 'nf_conntrack_confirm', 'nf_confirm', 'nf_nat_used_tuple', 'ipv4_confirm'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: [
      '4.7: clashes of UDP are resolved (71d8c47fc653); TCP and SCTP never are',
      '4.19: also when NAT has bound them, if both tuples are the same (ed07d9a021df)',
      '5.6: a clashing entry may be inserted for the reply direction only (6a757c07e51f)',
      '5.10: insert_failed counts lost clashes only; before, resolved ones too',
      '6.12: a clash with an entry of the opposite direction is resolved, and the null binding leaves the source port alone (a4e6a1031e77, d8f84a9bc7c4; the latter also in 6.6.57)',
      '2026: ICMP and protocols without a tracker are resolved as well (f7becf0dad8f, 8a49fc8d8a3e)',
    ],
    sources: ['net/netfilter/nf_conntrack_core.c', 'net/netfilter/nf_nat_core.c', 'tools/testing/selftests/net/netfilter/conntrack_reverse_clash.sh'],
  },
  judge,
};
