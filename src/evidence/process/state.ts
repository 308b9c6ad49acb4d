import type { Evidence } from '../../model/evidence.ts';
import type { ProcessIdentity, Remedy } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { processNow } from './facts.ts';
import { processName } from './words.ts';

export type Hindrance = 'stopped' | 'traced' | 'zombie';

/** Whether a process cannot go on reading, whatever it wants: stopped by a signal, by a debugger, or dead. */
export function hindranceOf(evidence: Evidence, pid: number): Hindrance | undefined {
  const facts = processNow(evidence, pid);
  if (isUnavailable(facts)) return undefined;
  switch (facts.state.slice(0, 1)) {
    case 'T':
      return 'stopped';
    case 't':
      return 'traced';
    case 'Z':
    case 'X':
      return 'zombie';
    default:
      return undefined;
  }
}

/** What lets it go on. */
export function hindranceRemedy(process: ProcessIdentity, hindrance: Hindrance): Remedy {
  switch (hindrance) {
    case 'stopped':
      return { text: `Let ${processName(process)} go on: it was stopped by a signal (SIGSTOP or SIGTSTP).`, command: `kill -CONT ${process.pid}`, undo: `kill -STOP ${process.pid}`, risk: 'low' };
    case 'traced':
      return { text: `Detach the debugger that holds ${processName(process)} (TracerPid in /proc/${process.pid}/status).`, risk: 'medium' };
    case 'zombie':
      return { text: `Restart the service: ${processName(process)} has ended and its parent has not collected it.`, risk: 'medium' };
  }
}
