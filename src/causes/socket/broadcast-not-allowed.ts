import { splitEndpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { addresses, broadcastOf } from '../../evidence/socket/addresses.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'socket.broadcast-not-allowed',
  title: 'the socket may not send broadcasts',
  needs: ['address', 'process'],
  knowledge: {
    what: 'A program sends to a broadcast address, and its socket lacks the option SO_BROADCAST. The kernel refuses the call with EACCES (Permission denied) before it makes a packet. No privilege is needed for the option, the program must only set it.',
    signs: ['EACCES from sendto, sendmsg or connect', 'the destination is 255.255.255.255 or the last address of a local subnet', 'no drop event'],
    fixes: ['setsockopt(fd, SOL_SOCKET, SO_BROADCAST, …) in the program, or its configuration option for it (ping -b, nc -b, socat broadcast)', 'a wrong netmask makes a plain address a broadcast address: check ip addr'],
    functions: ['udp_sendmsg', '__ip4_datagram_connect', 'raw_sendmsg', 'ping_v4_sendmsg'],
    reasons: [],
    errnos: ['EACCES'],
    versions: [],
    sources: ['net/ipv4/udp.c', 'net/ipv4/datagram.c', 'ip(7), socket(7)'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'call' || symptom.call.errno !== 'EACCES' || !/^(?:send|connect|write|io_uring)/.test(symptom.call.syscall)) return NOT_APPLICABLE;
    const { call } = symptom;
    const to = splitEndpoint(call.destination ?? call.socket?.remote ?? '');
    const own = addresses(evidence, call.netns);
    const process = identityOf(evidence, call.task.pid, call.task.comm);
    if (to === undefined) return cannotTell('the call does not say where it went', 'the destination of the call (call probe with BPF)');
    const address = plainAddress(to.address);
    if (address.includes(':')) return ruledOut('IPv6 has no broadcast');
    if (isUnavailable(own) && address !== '255.255.255.255') return cannotTell(unavailableText(own), 'the addresses of the namespace (ip addr)');
    const network = isUnavailable(own) ? undefined : broadcastOf(own, address);
    if (network === undefined && address !== '255.255.255.255') return ruledOut(`${address} is no broadcast address here`);
    const who = isUnavailable(process) ? `${call.task.comm} (pid ${call.task.pid})` : processText(process);
    const name = isUnavailable(process) ? call.task.comm : processName(process);
    const what = network === undefined ? `${address} is the broadcast address of every network` : `${address} is the broadcast address of ${network.device} (${network.address}/${network.prefixLength})`;
    return {
      outcome: 'found',
      confidence: 0.96,
      severity: 'warning',
      identity: `${call.task.comm}|${address}`,
      explanation: `${call.syscall} of ${name} to ${address} failed with EACCES (Permission denied) in ${netnsText(evidence, call.netns)}. ${what}, and the socket lacks the option SO_BROADCAST. The kernel refuses such a call before it makes a packet; a firewall has no part in it.`,
      culprit: { kind: 'process', text: `${who} sends to the broadcast address ${address} without SO_BROADCAST`, pid: call.task.pid, comm: call.task.comm, option: 'SO_BROADCAST' },
      evidence: [callLine(evidence, call), ...(network === undefined ? [] : [{ source: 'ip -j address', text: what }])],
      remedies: [
        { text: `Let ${call.task.comm} set SO_BROADCAST on its socket (an option or a line in the program: setsockopt(fd, SOL_SOCKET, SO_BROADCAST, 1)).`, risk: 'low' },
        { text: `If ${address} is meant to be one host, correct the netmask${network === undefined ? '' : ` of ${network.device} (/${network.prefixLength})`}.`, risk: 'medium' },
      ],
    };
  },
};
