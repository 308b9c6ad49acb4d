import { inNetns, netnsText } from '../../evidence/netns.ts';
import { identityOf, processFacts } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { capabilityText, privilegeOf } from '../../evidence/security/privilege.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import { lastSysctl, sysctlNumbers } from '../../evidence/network/sysctl.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judge(call: CallEvent, evidence: Evidence): Finding {
  if (call.errno !== 'EPERM' && call.errno !== 'EACCES') return NOT_APPLICABLE;
  if (isPingSocket(call)) return pingSocket(call, evidence);
  const start = call.syscall === 'bind' ? lastSysctl(evidence, call.netns, 'net/ipv4/ip_unprivileged_port_start') : undefined;
  const privilege = privilegeOf(call, start);
  const facts = processFacts(evidence, call.task.pid);
  if (privilege === undefined || privilege.anyOf.length === 0) return NOT_APPLICABLE;
  if (privilege.errno !== call.errno) return ruledOut(`for ${privilege.what} the kernel would answer ${privilege.errno}`);
  const identity = identityOf(evidence, call.task.pid, call.task.comm);
  const who = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processText(identity);
  const name = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processName(identity);
  const known = !isUnavailable(facts);
  const has = known ? privilege.anyOf.find((c) => facts.capabilities.includes(c)) : undefined;
  if (has !== undefined && !(known && facts.seccomp === 2)) {
    // it has the capability in its own user namespace, and the network namespace belongs to another
    return {
      outcome: 'found', confidence: 0.6, severity: 'warning', identity: `userns|${call.task.comm}|${privilege.what}`,
      explanation: `${call.syscall} of ${name} for ${privilege.what} failed with ${call.errno} in ${netnsText(evidence, call.netns)}, although the process has ${capabilityText(has)}. A capability counts only in the user namespace that owns the network namespace, and it may have been gained after the call. Where neither is so, a security module or seccomp filter has refused.`,
      culprit: { kind: 'capability', text: `${who}: ${capabilityText(has)} does not count in this network namespace`, pid: call.task.pid, capability: capabilityText(has) },
      evidence: [callLine(evidence, call), { source: `/proc/${call.task.pid}/status`, text: `CapEff has ${capabilityText(has)}` }],
      remedies: [{ text: 'Run the program in the user namespace that owns the network namespace (for containers: not rootless, or with a network of its own).', risk: 'medium' }],
    };
  }
  if (has !== undefined) return ruledOut(`the process has ${capabilityText(has)}`);
  const wanted = privilege.anyOf.map(capabilityText);
  const missing = wanted.join(' or ');
  const first = wanted[0] ?? '';
  const remedies: Remedy[] = [];
  const unit = isUnavailable(identity) ? undefined : identity.unit;
  const container = isUnavailable(identity) ? undefined : identity.container;
  if (container !== undefined) remedies.push({ text: `Start the container with ${first.toUpperCase()} (docker run --cap-add ${first.replace(/^cap_/, '').toUpperCase()}; Kubernetes: securityContext.capabilities.add).`, risk: 'medium' });
  if (unit !== undefined) remedies.push({ text: `In ${unit} add ${first.toUpperCase()} to AmbientCapabilities= and CapabilityBoundingSet= (systemctl edit ${unit}), then restart it.`, risk: 'low' });
  const exe = known ? facts.exe : undefined;
  const interpreter = exe !== undefined && /\/(?:python|perl|ruby|node|java|bash|sh|dash|php)[\d.]*$/.test(exe);
  if (call.syscall === 'bind' && start !== undefined && start > 0) {
    const port = /:(\d+)$/.exec(call.destination ?? '')?.[1];
    if (port !== undefined) remedies.push({ text: `Or let every program in the namespace bind to port ${port} and above.`, command: inNetns(evidence, call.netns, `sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`, call.task.pid), undo: inNetns(evidence, call.netns, `sysctl -w net.ipv4.ip_unprivileged_port_start=${start}`, call.task.pid), risk: 'medium' });
  }
  if (exe !== undefined && !interpreter && unit === undefined && container === undefined) remedies.push({ text: `Give the program file the capability (no use where the bounding set lacks it or no_new_privs is set).`, command: `setcap ${first}+ep ${shellQuote(exe)}`, undo: `setcap -r ${shellQuote(exe)}`, risk: 'medium' });
  remedies.push({ text: `Start ${call.task.comm} with ${first.toUpperCase()}: whoever starts it (service manager, container, capsh) must leave it in the bounding and ambient set.`, risk: 'low' });
  if (call.syscall === 'socket' && /raw socket/.test(privilege.what) && low(call.args[2]) === 1) remedies.push({ text: 'For ping alone an unprivileged ICMP socket (SOCK_DGRAM) suffices, allowed by net.ipv4.ping_group_range.', risk: 'low' });
  return {
    outcome: 'found',
    confidence: known ? 0.96 : 0.75,
    severity: 'warning',
    identity: `${call.task.comm}|${privilege.what}`,
    explanation: `${call.syscall} of ${name} failed with ${call.errno} (${call.errno === 'EPERM' ? 'Operation not permitted' : 'Permission denied'}) in ${netnsText(evidence, call.netns)}. It asked for ${privilege.what}, which needs ${missing}, and the process ${known ? `lacks it${facts.uid === 0 ? ' although it runs as root' : ''}` : 'seems to lack it'}. No packet was made, and no firewall has a part in it.`,
    culprit: { kind: 'capability', text: `${who} lacks ${missing} for ${privilege.what}`, pid: call.task.pid, comm: call.task.comm, capability: first },
    evidence: [callLine(evidence, call), ...(known ? [{ source: `/proc/${call.task.pid}/status`, text: `CapEff of ${facts.comm} (uid ${facts.uid}): ${facts.capabilities.length === 0 ? 'none' : clipList(facts.capabilities)}` }] : [])],
    remedies,
  };
}

/** socket(AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_ICMP or ICMPV6): ping without privilege, for the groups of one sysctl. */
function isPingSocket(call: CallEvent): boolean {
  return call.syscall === 'socket' && call.errno === 'EACCES' && (low(call.args[1]) & 0xf) === 2 && (low(call.args[2]) === 1 || low(call.args[2]) === 58);
}

/** ping(8) tries this socket first and takes a raw one when it is refused: a loss only for who has no CAP_NET_RAW either. */
function pingSocket(call: CallEvent, evidence: Evidence): Finding {
  const facts = processFacts(evidence, call.task.pid);
  const range = sysctlNumbers(evidence, call.netns, 'net/ipv4/ping_group_range', 'any');
  // ping gives its capabilities up once it has a socket: that it has none now says nothing. If its raw socket fails too, that call tells.
  const falls = /ping/.test(call.task.comm);
  const raw = falls || call.task.uid === 0 || isUnavailable(facts) || facts.capabilities.includes('CAP_NET_RAW');
  const value = isUnavailable(range) ? undefined : range.join(' ');
  const where = netnsText(evidence, call.netns);
  const set = (v: string): string => inNetns(evidence, call.netns, `sysctl -w net.ipv4.ping_group_range="${v}"`, call.task.pid);
  return {
    outcome: 'found',
    confidence: 0.95,
    severity: raw ? 'info' : 'warning',
    identity: `ping|${call.task.comm}`,
    explanation: `${call.task.comm} (pid ${call.task.pid}) asked for an unprivileged ICMP socket in ${where} and got EACCES. net.ipv4.ping_group_range${value === undefined ? '' : ` = ${value}`} does not hold its group. ${raw ? 'It may take a raw socket instead, as ping does.' : 'It lacks cap_net_raw for a raw socket too, so it cannot ping at all.'}`,
    culprit: { kind: 'sysctl', text: `net.ipv4.ping_group_range${value === undefined ? '' : ` = ${value}`} in ${where}`, sysctl: 'net.ipv4.ping_group_range', pid: call.task.pid },
    evidence: [callLine(evidence, call), ...(value === undefined ? [] : [{ source: 'sysctl', text: `net.ipv4.ping_group_range = ${value}` }])],
    remedies: [{ text: 'Let every group open ICMP sockets.', command: set('0 2147483647'), ...(value === undefined ? undefined : { undo: set(value) }), risk: 'low' }, { text: `Or give ${call.task.comm} CAP_NET_RAW.`, risk: 'medium' }],
  };
}

const low = (value: bigint | undefined): number => Number(BigInt.asIntN(32, value ?? 0n));
const clipList = (names: readonly string[]): string => (names.length > 8 ? `${names.length} capabilities, not the one needed` : names.map(capabilityText).join(' '));

export const cause: Cause = {
  id: 'security.missing-capability',
  title: 'the process lacks a capability',
  needs: ['process', 'sysctl'],
  knowledge: {
    what: 'Raw and packet sockets need CAP_NET_RAW, some socket options CAP_NET_ADMIN, ports below net.ipv4.ip_unprivileged_port_start CAP_NET_BIND_SERVICE. A process that lacks the capability gets EPERM or EACCES, also as root: service managers and containers take capabilities away. No packet is made.',
    signs: ['EPERM from socket() or setsockopt(), EACCES from bind()', 'CapEff in /proc/PID/status (getpcaps PID)', 'no drop event'],
    fixes: ['AmbientCapabilities= and CapabilityBoundingSet= in the unit', '--cap-add for containers', 'setcap on the program file', 'net.ipv4.ip_unprivileged_port_start for low ports, net.ipv4.ping_group_range for ping'],
    functions: ['inet_create', 'packet_create', 'sk_setsockopt', '__inet_bind', 'ns_capable'],
    reasons: [],
    errnos: ['EPERM', 'EACCES'],
    versions: ['SO_MARK with CAP_NET_RAW since Linux 5.17'],
    sources: ['capabilities(7)', 'net/ipv4/af_inet.c', 'net/packet/af_packet.c', 'net/core/sock.c'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judge(symptom.call, evidence) : NOT_APPLICABLE),
};
