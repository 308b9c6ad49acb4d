import { tupleOfPacket, tupleText } from '../../evidence/conntrack/index.ts';
import { netnsText } from '../../evidence/netns.ts';
import { hookName, matchedInvalid, place, remediesFor, sources, trial, whereText } from '../../evidence/rules/index.ts';
import { callLine, dropLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { whyInvalid } from './why-invalid.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const found = trial(evidence, symptom);
  if (found === undefined || symptom.kind !== 'drop') return NOT_APPLICABLE;
  if (isUnavailable(found)) return cannotTell(`the rules could not be listed: ${unavailableText(found)}`, found.fix ?? 'nft or iptables-save, run as root');
  const { culprit } = found;
  const { drop } = symptom;
  if (drop.conntrack !== undefined) return ruledOut(drop.conntrack.info === 7 ? 'the packet was exempt from tracking (UNTRACKED), which is not INVALID' : 'conntrack had an entry for the packet, so it was not INVALID');
  if (culprit === undefined || culprit.rule === undefined) return NOT_APPLICABLE;
  if (!matchedInvalid(culprit)) return ruledOut(`the rule that fits does not ask for INVALID: ${culprit.rule.text}`);
  const why = whyInvalid(evidence, drop);
  const tuple = tupleOfPacket(drop.packet);
  const where = netnsText(evidence, drop.netns);
  const call = symptom.call === undefined ? '' : `, and ${symptom.call.syscall} of ${symptom.call.task.comm} (pid ${symptom.call.task.pid}) failed with ${symptom.call.errno}`;
  const moved = culprit.moved !== undefined && culprit.moved > 0 && culprit.counterBefore !== undefined ? `; its counter went from ${culprit.counterBefore.packets} to ${culprit.counterAfter?.packets ?? '?'} packets` : '';
  const table = culprit.table;
  return {
    outcome: 'found',
    confidence: Math.max(0.94, Math.min(0.98, culprit.confidence + (why.sure ? 0.02 : 0))),
    severity: 'warning',
    identity: `${whereText(culprit)} ${why.id}`,
    explanation: `${tuple === undefined ? 'A packet' : `The packet ${tupleText(tuple)}`} was dropped at ${hookName(culprit.hook.hook)} in ${where}${call}: ${whereText(culprit)} ("${culprit.rule.text}") drops what conntrack calls INVALID${moved}. ${why.text}`,
    culprit: {
      kind: 'rule', text: `${place(table, culprit.rule)}: ${table.tool === 'nft' ? `${table.family} ${table.name} ${culprit.chain.name} ${culprit.rule.text}` : `${table.tool} -t ${table.name} -A ${culprit.chain.name} ${culprit.rule.text}`} (drops INVALID packets: ${why.id})`,
      tool: table.tool, family: table.family, table: table.name, chain: culprit.chain.name, position: culprit.rule.position,
      ...(culprit.rule.handle === undefined ? {} : { handle: culprit.rule.handle }), rule: culprit.rule.text, why: why.id,
    },
    hook: hookName(culprit.hook.hook),
    evidence: [dropLine(evidence, drop), ...(symptom.call === undefined ? [] : [callLine(evidence, symptom.call)]), { source: sources(found.hook.family), text: `${place(table, culprit.rule)}: ${culprit.rule.text}${moved}` }, { source: 'drop probe', text: drop.probe === 'bpf' ? 'the packet carried no conntrack entry: INVALID for rules' : 'the packet\'s conntrack state is not known from this probe' }, ...why.lines],
    remedies: [...why.remedies, ...remediesFor(evidence, symptom, found, culprit).remedies],
  };
}

export const cause: Cause = {
  id: 'conntrack.invalid-drop',
  title: 'a rule drops packets that conntrack calls INVALID',
  needs: ['nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'link', 'ipset', 'route-get', 'address', 'sysctl', 'conntrack-table', 'process', 'socket-owner', 'proc', 'ebtables', 'arptables'],
  knowledge: {
    what: 'Conntrack gives a packet the state INVALID when it belongs to no connection that it knows and may not begin one, or when it does not fit the connection it belongs to. Many firewalls drop such packets by a rule (ct state invalid drop, --ctstate INVALID). The rule is as intended; what has to be found is why the packet is INVALID.',
    signs: ['NETFILTER_DROP with a rule for INVALID', 'invalid grows in conntrack -S (with net.netfilter.nf_conntrack_log_invalid = 255 the log says why)', 'a connection stalls after conntrack -F, after a fail-over, or with asymmetric routes'],
    fixes: ['net.netfilter.nf_conntrack_tcp_loose = 1 (pick up connections in their middle)', 'net.netfilter.nf_conntrack_tcp_be_liberal = 1 (do not check windows)', 'an accept or NOTRACK rule before it for the flow', 'both directions over the same firewall', 'correct checksums, or net.netfilter.nf_conntrack_checksum = 0'],
    functions: ['nf_conntrack_in', 'nf_conntrack_tcp_packet', 'tcp_in_window', 'tcp_new', 'nf_conntrack_icmpv4_error', 'nft_do_chain', 'nf_hook_slow'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['6.2 and later are more lenient about segments left of the window'],
    sources: ['net/netfilter/nf_conntrack_proto_tcp.c', 'net/netfilter/nf_conntrack_proto_icmp.c', 'Documentation/networking/nf_conntrack-sysctl.rst'],
  },
  judge,
};
