import type { Evidence } from '../../model/evidence.ts';
import type { ProcessIdentity, Remedy } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { processNow } from './facts.ts';
import { processName } from './words.ts';

export type Hindrance = 'stopped' | 'traced';

/**
 * Whether a process cannot go on reading, whatever it wants: stopped by a signal or by a debugger. What was seen is
 * remembered, for when the loss is looked at again after the process has ended. (A zombie has closed its sockets.)
 */
export function hindranceOf(evidence: Evidence, pid: number): Hindrance | undefined {
  const facts = processNow(evidence, pid);
  const key = `hindrance ${pid}`;
  if (isUnavailable(facts) || /^[ZX]/.test(facts.state)) return evidence.memo.get(key) as Hindrance | undefined;
  const now = facts.state.startsWith('T') ? 'stopped' : facts.state.startsWith('t') ? 'traced' : undefined;
  if (now === undefined) evidence.memo.delete(key);
  else evidence.memo.set(key, now);
  return now;
}

/** What lets it go on. */
export function hindranceRemedy(process: ProcessIdentity, hindrance: Hindrance): Remedy {
  switch (hindrance) {
    case 'stopped':
      return { text: `Let ${processName(process)} go on: it was stopped by a signal (SIGSTOP or SIGTSTP).`, command: `kill -CONT ${process.pid}`, undo: `kill -STOP ${process.pid}`, risk: 'low' };
    case 'traced':
      return { text: `Detach the debugger that holds ${processName(process)} (TracerPid in /proc/${process.pid}/status).`, risk: 'medium' };
  }
}
