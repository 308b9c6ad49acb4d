import { clip } from '../../base/text.ts';
import { signOf } from '../../evidence/log/sign.ts';
import { netnsText } from '../../evidence/netns.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import type { Victim } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'tunnel.key-mismatch',
  title: 'the keys of the two tunnel ends differ',
  needs: ['process'],
  knowledge: {
    what: 'A VPN or tunnel daemon received packets that it could not verify or decrypt, and threw them away. The kernel delivered them, so no counter or drop event tells of the loss; only the log of the daemon does. The keys (static key, pre-shared key, tls-auth key, certificate) or the ciphers of the two ends differ, typically after a rotation on one side.',
    signs: ['"Authenticate/Decrypt packet error: packet HMAC authentication failed", "AEAD Decrypt error", "cannot locate HMAC in incoming packet" in an OpenVPN log', '"AUTHENTICATION_FAILED", "MAC mismatched" in the log of an IKE daemon', '"Invalid handshake initiation" of WireGuard', 'the tunnel interface is up, packets arrive at the UDP port, nothing comes out of the tunnel'],
    fixes: ['the same key file, cipher and digest on both ends, then restart both', 'compare a hash of the key files'],
    functions: [],
    reasons: [],
    errnos: [],
    versions: [],
    sources: ['openvpn(8)', 'wg(8)', 'RFC 7296 section 2.21.2'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'log') return NOT_APPLICABLE;
    const sign = signOf(symptom);
    if (sign?.kind !== 'key-mismatch') return NOT_APPLICABLE;
    const identity = identityOf(evidence, symptom.pid, sign.program);
    const process = isUnavailable(identity) ? undefined : identity;
    const who = process === undefined ? `${sign.program ?? 'the daemon'} (pid ${symptom.pid})` : processText(process);
    const name = process === undefined ? `${sign.program ?? 'The daemon'} (pid ${symptom.pid})` : processName(process);
    const daemon = process?.comm ?? sign.program ?? 'the daemon';
    const peer = sign.addresses[0];
    const config = /(?:--config\s+|-c\s+)?(\S+\.(?:conf|ovpn))\b/.exec(process?.cmdline ?? '')?.[1];
    const victims: Victim[] = process === undefined ? [] : [{ process, count: 1 }];
    return {
      outcome: 'found',
      confidence: 0.93,
      severity: 'warning',
      identity: `${symptom.pid}|${peer ?? ''}`,
      explanation: `${name} in ${netnsText(evidence, symptom.netns)} throws away the packets of its peer${peer === undefined ? '' : ` ${peer}`}, because it cannot verify or decrypt them: "${clip(sign.message, 140)}". The kernel has delivered these packets, so no drop event or counter shows the loss. The keys or ciphers of the two ends of the tunnel differ.`,
      culprit: { kind: 'tunnel', text: `the key of ${who} differs from that of its peer${peer === undefined ? '' : ` ${peer}`}`, pid: symptom.pid, comm: daemon, log: symptom.file, ...(config === undefined ? undefined : { config }) },
      evidence: [{ source: symptom.file, time: evidence.iso(symptom.first), text: symptom.line }],
      remedies: [
        { text: `Put the same key on both ends (compare them by a hash, sha256sum KEYFILE on each), and restart both daemons.${config === undefined ? '' : ` The configuration of ${daemon} here is ${config}.`}`, risk: 'medium' },
        { text: 'If the keys are the same, compare cipher, digest (auth) and key direction on both ends.', risk: 'low' },
      ],
      ...(victims.length === 0 ? undefined : { victims }),
    };
  },
};
