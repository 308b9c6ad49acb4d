import { linkNamed } from '../../evidence/network/read.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { processesIn } from '../../evidence/process/facts.ts';
import { hindranceOf } from '../../evidence/process/state.ts';
import { stateText } from '../../evidence/process/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { clip, shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const USUAL = 1000;

export const cause: Cause = {
  id: 'tun.ring-full',
  title: 'the program behind the tun device reads too slowly',
  needs: ['link', 'processes', 'process'],
  knowledge: {
    what: 'Packets that leave by a tun or tap device wait in a ring until the program behind it (a VPN daemon, a virtual machine) reads them. The ring holds txqueuelen packets; what finds it full is dropped. The program is too slow, stopped, or the ring is short for its bursts.',
    signs: ['FULL_RING at tun_net_xmit', 'tx_dropped of the device rises', 'The sender is not told'],
    fixes: ['See whether the program runs (state T is stopped) and how busy it is', '`ip link set DEV txqueuelen 1000` for bursts'],
    functions: ['tun_net_xmit', 'tun_do_read', 'ptr_ring_produce'],
    reasons: ['FULL_RING'],
    errnos: [],
    versions: ['FULL_RING exists since 5.18'],
    sources: ['drivers/net/tun.c', 'Documentation/networking/tuntap.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    if (drop.reason.name !== 'FULL_RING' && !(drop.reason.name === 'NOT_SPECIFIED' && symbolOf(drop) === 'tun_net_xmit')) return NOT_APPLICABLE;
    const link = linkNamed(evidence, symptom.netns, drop.interface);
    const list = processesIn(evidence, symptom.netns);
    if (isUnavailable(link)) return cannotTell(unavailableText(link), 'the device (ip -d link)');
    if (isUnavailable(list) && list.unavailable === 'pending') return cannotTell(unavailableText(list), 'the processes of the namespace');
    const name = link.name;
    const quoted = new RegExp(`(^|[^A-Za-z0-9_])${name.replace(/[^A-Za-z0-9_]/g, '\\$&')}([^A-Za-z0-9_]|$)`);
    // no file tells who has a tun device open; whoever names it on the command line is taken, and said to be so
    const owner = isUnavailable(list) ? undefined : list.find((p) => quoted.test(p.cmdline)) ?? list.find((p) => /openvpn|vpn|wireguard|boringtun|tailscale|tinc|qemu|zerotier|ssh/.test(p.comm));
    const hindrance = owner === undefined ? undefined : hindranceOf(evidence, owner.pid);
    const stopped = owner !== undefined && (hindrance === 'stopped' || owner.state === 'T');
    const length = link.txQueueLength ?? 500;
    const where = netnsText(evidence, symptom.netns);
    const who = owner === undefined ? 'the program behind it' : `${owner.comm} (pid ${owner.pid}), which names ${name} on its command line,`;
    const next = length < USUAL ? USUAL : length * 10;
    const ring: Remedy = { text: `Let the ring of ${name} hold ${next} packets.`, command: iproute(evidence, symptom.netns, 'ip', `link set ${shellQuote(name)} txqueuelen ${next}`), undo: iproute(evidence, symptom.netns, 'ip', `link set ${shellQuote(name)} txqueuelen ${length}`), risk: 'low' };
    const remedies: Remedy[] = stopped ? [{ text: `${owner.comm} is stopped: let it go on.`, command: `kill -CONT ${owner.pid}`, undo: `kill -STOP ${owner.pid}`, risk: 'low' }, ring] : [ring, { text: `Or make ${owner === undefined ? 'the program' : owner.comm} read faster: more CPU, a newer version, less work a packet.`, risk: 'low' }];
    const lines: EvidenceLine[] = [
      dropLine(evidence, drop),
      { source: 'ip -d -s link', text: `${name} ${String(link.data['type'] ?? 'tun')} txqueuelen ${length}${link.stats === undefined ? '' : `, ${link.stats.txDropped} packets dropped on transmission`}` },
      ...(owner === undefined ? [] : [{ source: '/proc', text: `pid ${owner.pid} ${owner.comm}, ${stateText(owner.state)}: ${clip(owner.cmdline, 120)}` }]),
    ];
    return {
      outcome: 'found',
      confidence: drop.reason.name === 'FULL_RING' ? 0.97 : 0.8,
      severity: 'warning',
      identity: `tun|${name}`,
      explanation: `Packets that should leave by ${name} in ${where} were dropped, because its ring was full. It holds ${length} packets (txqueuelen) until ${who} reads them. ${stopped ? 'That process is stopped and reads nothing.' : length < 100 ? 'So short a ring cannot take a burst.' : 'It reads more slowly than they come.'}`,
      culprit: stopped
        ? { kind: 'process', text: `${owner.comm} (pid ${owner.pid}), stopped, reads ${name}`, pid: owner.pid, comm: owner.comm, interface: name, txqueuelen: length }
        : { kind: 'interface', text: `${name}: ring of ${length} packets (txqueuelen)${owner === undefined ? '' : `, read by ${owner.comm} (pid ${owner.pid})`}`, interface: name, txqueuelen: length, pid: owner?.pid },
      evidence: lines,
      remedies,
    };
  },
};
