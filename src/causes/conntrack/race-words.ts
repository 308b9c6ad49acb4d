import { exemption, randomised, snatRules, translationOf, type Suspicion } from '../../evidence/conntrack/index.ts';
import { olderThan } from '../../evidence/counters/index.ts';
import type { Evidence } from '../../model/evidence.ts';
import { protocolName } from '../../model/flow.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import type { Race } from './insert-race.ts';

const UDP = 17, UDPLITE = 136;

/** Why this kernel dropped the loser instead of merging the two. */
export function whyLost(s: Suspicion, evidence: Evidence, race: Race): string {
  const { kernel } = evidence.host;
  const protocol = s.original?.protocol;
  if (race.rivalry === 'same-reply') return 'They are different connections, so the kernel cannot merge them and dropped the second one\'s packet.';
  if (protocol === undefined) return 'The kernel could not merge the two entries, so it dropped the packet.';
  if (protocol === 6 || protocol === 132) return `For ${protocolName(protocol).toUpperCase()} no kernel merges two such entries: the loser's packet is dropped and sent again later.`;
  if (protocol !== UDP && protocol !== UDPLITE) return `This kernel (${kernel}) merges such entries for UDP and few other protocols, not for ${protocolName(protocol)}, so it dropped the loser's packet.`;
  const translated = s.original !== undefined && s.reply !== undefined ? translationOf({ original: s.original, reply: s.reply }) : undefined;
  if (translated?.destination !== undefined && olderThan(kernel, 5, 6)) return `Translation had given the two different backends, so their entries differ in the tuple that replies come by. Kernels before 5.6 (this is ${kernel}) cannot merge such entries, so the loser's packet was dropped; Linux 5.6 inserts the second one for the reply direction alone (commit 6a757c07e51f).`;
  if (translated !== undefined) return 'Translation had given the two different tuples, and the kernel merges only entries that are the same in both directions, so it dropped the loser\'s packet.';
  if (olderThan(kernel, 6, 12) && race.rivalry !== 'same-original') return `Kernels before 6.12 (this is ${kernel}) do not merge an entry with one of the opposite direction${s.bound === true ? ', once NAT is in use and has bound it, even to no change' : ''}; the loser's packet is dropped. Linux 6.12 does (commits a4e6a1031e77 and d8f84a9bc7c4).`;
  return `The kernel (${kernel}) could not merge the two entries, so it dropped the loser's packet.`;
}

export function remediesOf(s: Suspicion, evidence: Evidence, race: Race): Remedy[] {
  const { original, reply } = s;
  const remedies: Remedy[] = [];
  const translated = original !== undefined && reply !== undefined ? translationOf({ original, reply }) : undefined;
  if (race.rivalry === 'same-reply' || translated?.source !== undefined) {
    const rules = snatRules(evidence, s.netns, { protocol: original?.protocol ?? 0, ...(reply === undefined ? {} : { translated: reply.destination }), ...(s.drop?.interface === undefined ? {} : { outgoing: s.drop.interface }) });
    const rule = isUnavailable(rules) ? undefined : rules[0];
    const change = rule === undefined ? undefined : randomised(evidence, s.netns, rule);
    if (change !== undefined) remedies.push({ text: `Let the rule choose ports by chance, so that two connections at once do not get the same: put it back as "${change.text}".`, command: change.command, undo: change.undo, risk: 'low' });
  }
  if (race.rivalry !== 'same-reply' && translated === undefined && original !== undefined) {
    const free = exemption(evidence, s.netns, original);
    remedies.push({ text: `Exempt ${free.what} from connection tracking in both directions: then nothing has to be inserted for it. Rules that ask for ct state see it as untracked.`, command: free.command, undo: free.undo, risk: 'medium' });
  }
  if (race.deletion !== undefined) {
    const { author } = race.deletion;
    const whose = author.parent === undefined ? (author.process?.comm ?? 'whoever does it') : `${author.parent.comm} (pid ${author.parent.pid})`;
    remedies.push({ text: `Let ${whose} delete only the entries that must go, with a filter (conntrack -D ${original === undefined ? '-p PROTOCOL' : `-p ${protocolName(original.protocol)}`} --orig-dst ADDRESS${original?.protocol === 1 || original?.protocol === 58 ? '' : ' --orig-port-dst PORT'}), instead of ${race.deletion.flush === true ? 'all with -F' : 'those of live flows'}: each delete makes live flows new again and opens the race.`, risk: 'low' });
    const unit = author.process?.unit ?? author.parent?.unit;
    if (unit !== undefined && /^[\w@][\w@.:-]*\.(service|timer)$/.test(unit) && unit !== 'cron.service' && unit !== 'ssh.service') remedies.push({ text: `Or stop ${unit}, from which it runs.`, command: `systemctl stop ${unit}`, undo: `systemctl start ${unit}`, risk: 'high' });
  }
  if (original?.protocol === UDP && original.destinationPort === 53) remedies.push({ text: 'For DNS: options single-request-reopen in /etc/resolv.conf of the clients (glibc), so that A and AAAA are not sent at once from one socket; or a caching resolver on the node.', risk: 'low' });
  if (original?.protocol === UDP && translated?.destination !== undefined && olderThan(evidence.host.kernel, 5, 6)) remedies.push({ text: `Linux 5.6 and later resolve this clash (6a757c07e51f); this is ${evidence.host.kernel}.`, risk: 'medium' });
  else if (original?.protocol === UDP && olderThan(evidence.host.kernel, 6, 12) && race.rivalry !== 'same-reply') remedies.push({ text: `Linux 6.12 and later resolve this clash (a4e6a1031e77, d8f84a9bc7c4); this is ${evidence.host.kernel}.`, risk: 'medium' });
  return remedies;
}
