import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { fact } from '../fact.ts';

/** A refusal that a security module wrote to the kernel log (only where no audit daemon takes them). */
export interface Denial {
  readonly module: 'AppArmor' | 'SELinux' | 'Smack' | 'Landlock' | 'audit';
  readonly pid?: number;
  readonly comm?: string;
  readonly profile?: string;
  readonly operation?: string;
  readonly line: string;
}

/** Denials in the kernel log, oldest first. */
export function denials(evidence: Evidence): Maybe<readonly Denial[]> {
  return fact(evidence, { topic: 'kernel-log' }, 'LSM denials', (body) => {
    const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
    return text.split('\n').map(denialIn).filter((d) => d !== undefined);
  });
}

/** Reads one line of the audit subsystem; undefined for any other line. */
export function denialIn(line: string): Denial | undefined {
  const module = /apparmor="DENIED"/.test(line) ? 'AppArmor'
    : /avc:\s+denied/.test(line) ? 'SELinux'
    : /lsm=SMACK/.test(line) && /action=denied/.test(line) ? 'Smack'
    : /\bdomain=[0-9a-f]+\b.*\bblockers=/.test(line) ? 'Landlock'
    : undefined;
  if (module === undefined) return undefined;
  const value = (name: string): string | undefined => new RegExp(`\\b${name}=(?:"([^"]*)"|(\\S+))`).exec(line)?.slice(1).find((v) => v !== undefined);
  const pid = value('pid') ?? value('opid');
  const comm = value('comm') ?? value('ocomm');
  const profile = value('profile') ?? value('scontext') ?? value('domain') ?? value('subject');
  const operation = value('operation') ?? value('blockers') ?? /denied\s+\{ ([^}]*) \}/.exec(line)?.[1];
  return {
    module, line,
    ...(pid === undefined ? undefined : { pid: Number(pid) }), ...(comm === undefined ? undefined : { comm }),
    ...(profile === undefined ? undefined : { profile }), ...(operation === undefined ? undefined : { operation }),
  };
}

/** The label of a process: AppArmor's profile, SELinux's context. `unconfined` and kernel-like labels count as none. */
export function labelOf(evidence: Evidence, pid: number): string | undefined {
  const answer = evidence.lastAnswer({ topic: 'proc', argument: `${pid}/attr/current` });
  if (isUnavailable(answer)) return undefined;
  const text = (typeof answer.body === 'string' ? answer.body : new TextDecoder().decode(answer.body)).replace(/\0+$/, '').trim();
  return text === '' || text === 'unconfined' || text === 'kernel' || /^(?:_|\^|\*)$/.test(text) || /:unconfined_t:|:kernel_t:/.test(text) ? undefined : text;
}
