import { endpoint } from '../../base/inet.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import { manglerRemedy, manglers } from '../../evidence/socket/manglers.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { lastSysctl } from '../../evidence/network/sysctl.ts';
import { accepts, bothFamilies, listenersOn } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'TCP_MINTTL') return NOT_APPLICABLE;
  const { drop } = symptom;
  const { ip, transport } = drop.packet;
  if (ip === undefined || transport?.kind !== 'tcp') return NOT_APPLICABLE;
  const peer = plainAddress(ip.source);
  const destination = plainAddress(ip.destination);
  const at = endpoint(destination, transport.destinationPort);
  const word = ip.version === 4 ? 'TTL' : 'hop limit';
  const list = bothFamilies(evidence, drop.netns, 'tcp-listen');
  const sender = findOwnerOfAddress(evidence, drop.netns, peer);
  const rules = manglers(evidence, drop.netns, ip.version === 4 ? /\bttl\b|@nh/i : /hoplimit|\bHL\b|@nh/i);
  const listener = isUnavailable(list) ? undefined : listenersOn(list, transport.destinationPort).find((s) => accepts(s, destination));
  const owner = listener === undefined || listener.inode === 0 ? undefined : holderOf(evidence, listener.inode);
  const process = owner === undefined || isUnavailable(owner) ? undefined : owner;
  const server = process === undefined ? `the socket on tcp ${at}` : `${processText(process)} on tcp ${at}`;
  const there = sender === undefined || isUnavailable(sender) || sender.netns === drop.netns ? undefined : sender.netns;
  const key = 'net.ipv4.ip_default_ttl';
  const sends = there === undefined || ip.version === 6 ? undefined : lastSysctl(evidence, there, key.replaceAll('.', '/'));
  const rule = isUnavailable(rules) ? undefined : rules[0];
  const remedies: Remedy[] = [];
  if (rule !== undefined) remedies.push(manglerRemedy(evidence, drop.netns, rule));
  if (there !== undefined && ip.version === 4) remedies.push({ text: `Let ${peer} send with TTL 255 (better for this session alone: its ttl-security option).`, command: inNetns(evidence, there, `sysctl -w ${key}=255`), undo: inNetns(evidence, there, `sysctl -w ${key}=${sends ?? 64}`), risk: 'low' });
  else if (there !== undefined) remedies.push({ text: `Let ${peer} send with hop limit 255 (better for this session alone: its ttl-security option).`, command: inNetns(evidence, there, 'sysctl -w net.ipv6.conf.all.hop_limit=255'), risk: 'low' });
  else remedies.push({ text: `Turn ttl-security (GTSM) on at ${peer} too, so that it sends with ${word} 255${ip.version === 4 ? `, or set ${key}=255 there` : ''}.`, risk: 'low' });
  remedies.push({ text: `If the peer is more than one hop away, let ${process?.comm ?? 'the service'} ask for less (IP_MINTTL; ttl-security hops N).`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: 0.97,
    severity: 'warning',
    identity: `${peer}|${at}`,
    explanation: `Segments from ${peer} reach ${server} in ${netnsText(evidence, drop.netns)} with ${word} ${ip.ttl}, and the socket demands more (IP_MINTTL, the TTL security of RFC 5082). A peer on the same link that also uses it sends with 255, ${ip.ttl > 64 ? `so this one is ${255 - ip.ttl} hops away` : `this one sends with an ordinary ${word}`}. Nothing is answered, so the peer sees a time-out.`,
    culprit: { kind: 'socket', text: `${server} demands a minimum TTL, ${peer} sends with ${word} ${ip.ttl}`, socket: at, ttl: ip.ttl, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }) },
    evidence: [dropLine(evidence, drop), { source: 'packet', text: `${word} ${ip.ttl}` }, ...(sends === undefined ? [] : [{ source: 'sysctl', text: `${key} = ${sends} at the sender` }]), ...(rule === undefined ? [] : [{ source: 'rules', text: rule.text }])],
    remedies,
  };
}

export const cause: Cause = {
  id: 'tcp.minttl',
  title: 'the TTL is below what the socket demands',
  needs: ['sockets', 'socket-owner', 'process', 'sysctl', 'address', 'nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ipset'],
  knowledge: {
    what: 'A program can demand a minimum TTL or hop limit of what it receives (IP_MINTTL, IPV6_MINHOPCOUNT). Routing daemons do so with 255 (GTSM, ttl-security): only a neighbour on the same link can reach that. Segments below it are dropped without an answer.',
    signs: ['drop reason TCP_MINTTL at tcp_v4_rcv or tcp_v6_rcv', 'TCPMinTTLDrop in TcpExt of /proc/net/netstat', 'the port is open, and connects time out'],
    fixes: ['ttl-security on both sides', 'fewer hops demanded', 'a rule or router that lowers the TTL between them'],
    functions: ['tcp_v4_rcv', 'tcp_v6_rcv'],
    reasons: ['TCP_MINTTL'],
    errnos: ['ETIMEDOUT'],
    versions: ['The reason exists since Linux 6.2'],
    sources: ['net/ipv4/tcp_ipv4.c', 'RFC 5082', 'ip(7)'],
  },
  judge,
};
