import { endpoint } from '../../base/inet.ts';
import { bpfPrograms, cgroupPrograms } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { processFacts } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import { receiverProcess } from '../../evidence/socket/owner.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop' || (symptom.drop.reason.name !== 'SOCKET_FILTER' && symptom.drop.reason.name !== 'TAP_FILTER' && symptom.drop.reason.name !== 'TAP_TXFILTER')) return NOT_APPLICABLE;
  const { drop } = symptom;
  if (/^tun_net_xmit/.test(drop.place.name ?? '') && drop.interface !== undefined) return onDevice(drop, drop.interface, evidence);
  const { ip, transport } = drop.packet;
  const owner = receiverProcess(evidence, drop);
  const programs = bpfPrograms(evidence);
  const process = isUnavailable(owner) ? undefined : owner;
  const facts = process === undefined ? undefined : processFacts(evidence, process.pid);
  const cgroup = facts === undefined || isUnavailable(facts) ? undefined : facts.cgroup;
  const onCgroup = isUnavailable(programs) ? undefined : cgroupPrograms(programs, ['inet_ingress'], cgroup).length;
  const own = isUnavailable(programs) || process === undefined ? [] : programs.filter((p) => p.type === 'socket_filter' && p.heldBy.includes(process.pid));
  const port = transport !== undefined && 'destinationPort' in transport ? transport.destinationPort : undefined;
  const at = `${transport?.kind ?? 'ip'} ${endpoint(plainAddress(ip?.destination ?? '?'), port)}`;
  const who = process === undefined ? 'a process' : processText(process);
  const short = process === undefined ? 'The process' : processName(process);
  return {
    outcome: 'found',
    confidence: onCgroup === undefined ? 0.7 : onCgroup === 0 ? 0.95 : 0.5,
    severity: 'warning',
    identity: at,
    explanation: `Packets for ${at} arrived in ${netnsText(evidence, drop.netns)}, and the filter that ${who} has set on its own socket (SO_ATTACH_FILTER or SO_ATTACH_BPF) rejected them. ${short} is never told of such packets. ${onCgroup === 0 ? 'No cgroup above it has an ingress program that could have done it.' : onCgroup === undefined ? 'Whether a BPF program on its cgroup did it instead could not be read.' : 'A BPF program on its cgroup may have done it instead.'}`,
    culprit: { kind: 'filter', text: `the socket filter of ${who} on ${at}`, socket: at, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }) },
    evidence: [dropLine(evidence, drop), ...own.map((p) => ({ source: 'bpf-programs', text: `socket filter id ${p.id}${p.name === '' ? '' : ` ${p.name}`} held by pid ${process?.pid}` }))],
    remedies: [
      { text: `Correct or remove the filter in the configuration of ${process?.comm ?? 'the program'} and reload it; nobody else can take a filter off its socket.`, risk: 'low' },
      { text: `To see the filter: ss -0 -b for packet sockets; for others, strace -e trace=setsockopt while ${process?.comm ?? 'the program'} starts.`, risk: 'low' },
    ],
  };
}

/** A tun or tap device: its program can have the kernel refuse packets before it reads them (TUNATTACHFILTER, TUNSETTXFILTER). */
function onDevice(drop: DropEvent, device: string, evidence: Evidence): Finding {
  const addresses = drop.reason.name === 'TAP_TXFILTER';
  const option = addresses ? 'TUNSETTXFILTER, a list of MAC addresses' : 'TUNATTACHFILTER';
  return {
    outcome: 'found', confidence: 0.96, severity: 'warning', identity: `device ${device}`,
    explanation: `Packets that left by ${device} in ${netnsText(evidence, drop.netns)} were dropped by the filter of the program behind the device. It has set one (${option}), and the kernel throws away what the filter rejects before the program reads it. Neither the sender nor the program is told.`,
    culprit: { kind: 'filter', text: `the filter of the program behind ${device} (${addresses ? 'TUNSETTXFILTER' : 'TUNATTACHFILTER'})`, interface: device },
    evidence: [dropLine(evidence, drop)],
    remedies: [{ text: `Correct the filter in the configuration of the program that has ${device} open (a virtual machine, a VPN daemon) and restart it; nobody else can take it off.`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'bpf.socket-filter',
  title: 'the filter of the receiving socket rejected it',
  needs: ['sockets', 'socket-owner', 'process', 'bpf-programs'],
  knowledge: {
    what: 'A program can put a filter on its own socket (SO_ATTACH_FILTER with classic BPF, SO_ATTACH_BPF with eBPF). Packets that the filter rejects are dropped before they reach the receive queue. The same drop reason comes from a BPF program on the cgroup (bpf.cgroup-drop).',
    signs: ['drop reason SOCKET_FILTER at udp_queue_rcv_one_skb, tcp_v4_rcv, raw_rcv', 'the receive queue stays empty while tcpdump sees the packets', 'UDP: InErrors in /proc/net/snmp'],
    fixes: ['the configuration of the program that set the filter', 'bpftool cgroup tree, to rule out a program on the cgroup'],
    functions: ['sk_filter_trim_cap', 'udp_queue_rcv_one_skb', 'tcp_filter'],
    reasons: ['SOCKET_FILTER'],
    errnos: [],
    versions: ['The reason exists since Linux 5.17'],
    sources: ['net/core/filter.c', 'socket(7)'],
  },
  judge,
};
