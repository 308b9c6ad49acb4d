import { endpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import { holderOf } from '../../evidence/socket/owner.ts';
import { accepts, bothFamilies, listenersOn } from '../../evidence/socket/table.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

interface Kind {
  readonly method: 'MD5' | 'AO';
  readonly here: string;
  readonly sentence: string;
  readonly fix: (peer: string) => string;
}

const KINDS: Readonly<Record<string, Kind>> = {
  TCP_MD5FAILURE: { method: 'MD5', here: 'the signature does not fit', sentence: 'Both sides sign, with different keys.', fix: (p) => `Set the same TCP MD5 password on both sides (neighbor ${p} password … in BGP).` },
  TCP_MD5NOTFOUND: { method: 'MD5', here: 'the segment is not signed', sentence: 'This side has a key for the peer, and the peer does not sign.', fix: (p) => `Set the TCP MD5 password on ${p} too, or take it away here.` },
  TCP_MD5UNEXPECTED: { method: 'MD5', here: 'the segment is signed, and this side has no key', sentence: 'The peer signs, and this side has no key for its address.', fix: (p) => `Set the TCP MD5 password for ${p} here (check the address or prefix that it is set for), or take it away there.` },
  TCP_AOFAILURE: { method: 'AO', here: 'the TCP-AO signature does not fit', sentence: 'Both sides sign, with different keys.', fix: (p) => `Set the same TCP-AO key, ids and algorithm on ${p} and here.` },
  TCP_AONOTFOUND: { method: 'AO', here: 'the segment carries no TCP-AO option', sentence: 'This side wants TCP-AO, and the peer does not sign.', fix: (p) => `Set the TCP-AO key on ${p} too.` },
  TCP_AOUNEXPECTED: { method: 'AO', here: 'the segment carries TCP-AO, and this side has no key', sentence: 'The peer signs, and this side has no key for its address.', fix: (p) => `Set the TCP-AO key for ${p} here.` },
  TCP_AOKEYNOTFOUND: { method: 'AO', here: 'the key id of the segment is not known here', sentence: 'The peer signs with a key id that this side does not have (a key rotation on one side only).', fix: (p) => `Add the key with that id here, or let ${p} use an older one.` },
  TCP_AUTH_HDR: { method: 'MD5', here: 'the authentication option is malformed or there twice', sentence: 'A segment may carry MD5 or TCP-AO, not both and not broken.', fix: (p) => `Look at what ${p} or a middlebox puts into the TCP options.` },
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  const kind = KINDS[drop.reason.name];
  const { ip, transport } = drop.packet;
  if (kind === undefined || ip === undefined || transport?.kind !== 'tcp') return NOT_APPLICABLE;
  const peer = plainAddress(ip.source);
  const destination = plainAddress(ip.destination);
  const at = endpoint(destination, transport.destinationPort);
  const list = bothFamilies(evidence, drop.netns, 'tcp-listen');
  const listener = isUnavailable(list) ? undefined : listenersOn(list, transport.destinationPort).find((s) => accepts(s, destination));
  const owner = listener === undefined || listener.inode === 0 ? undefined : holderOf(evidence, listener.inode);
  const process = owner === undefined || isUnavailable(owner) ? undefined : owner;
  const who = process === undefined ? `tcp ${at}` : `${processText(process)} on tcp ${at}`;
  return {
    outcome: 'found',
    confidence: 0.97,
    severity: 'warning',
    identity: `${drop.reason.name}|${peer}|${destination}`,
    explanation: `${who} in ${netnsText(evidence, drop.netns)} dropped segments from ${peer} because ${kind.here} (TCP ${kind.method === 'MD5' ? 'MD5, RFC 2385' : 'Authentication Option, RFC 5925'}). ${kind.sentence} Nothing is answered, so the peer sees a time-out and not an error.`,
    culprit: { kind: 'peer', text: `the TCP ${kind.method} key of ${peer} and of ${who} differ: ${kind.here}`, peer, ...(process === undefined ? undefined : { pid: process.pid, comm: process.comm }), method: kind.method.toLowerCase() },
    evidence: [dropLine(evidence, drop), ...(listener?.md5Peers === undefined ? [] : [{ source: 'sock_diag', text: `listener ${at} has TCP MD5 keys for ${listener.md5Peers.join(', ')}` }])],
    remedies: [{ text: kind.fix(peer), risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'tcp.md5-mismatch',
  title: 'the TCP signatures of the two sides do not fit',
  needs: ['sockets', 'socket-owner', 'process'],
  knowledge: {
    what: 'Two sides can sign every TCP segment with a shared key (TCP MD5, used by BGP; its successor is TCP-AO). A segment whose signature is missing, unexpected or wrong is dropped without an answer. The connection does not come up, or dies by time-out, after a key was changed on one side.',
    signs: ['drop reasons TCP_MD5FAILURE, TCP_MD5NOTFOUND, TCP_MD5UNEXPECTED, TCP_AOFAILURE… at tcp_v4_rcv or tcp_v6_rcv', 'TCPMD5Failure, TCPMD5NotFound, TCPMD5Unexpected, TCPAOBad in /proc/net/netstat', 'older kernels: "MD5 Hash failed for …" in the kernel log'],
    fixes: ['the same password on both sides', 'the right peer address or prefix for the key'],
    functions: ['tcp_inbound_hash', 'tcp_inbound_md5_hash', 'tcp_inbound_ao_hash', 'tcp_v4_rcv', 'tcp_v6_rcv'],
    reasons: Object.keys(KINDS),
    errnos: ['ETIMEDOUT'],
    versions: ['Reasons for MD5 since Linux 5.18, TCP-AO since 6.7'],
    sources: ['net/ipv4/tcp.c', 'net/ipv4/tcp_ao.c', 'RFC 2385', 'RFC 5925'],
  },
  judge,
};
