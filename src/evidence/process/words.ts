import { clip } from '../../base/text.ts';
import type { ProcessIdentity } from '../../model/incident.ts';

/** How to speak of a process: `statsd (pid 4711, /usr/sbin/statsd -c /etc/statsd.conf, statsd.service)`. */
export function processText(process: ProcessIdentity): string {
  const parts = [`pid ${process.pid}`];
  if (process.cmdline !== undefined && process.cmdline !== '' && process.cmdline !== process.comm) parts.push(clip(process.cmdline, 160));
  if (process.unit !== undefined) parts.push(process.unit);
  if (process.container !== undefined) parts.push(`container ${clip(process.container, 40)}`);
  return `${process.comm} (${parts.join(', ')})`;
}

/** The short form for a second mention: `statsd (pid 4711)`. */
export function processName(process: ProcessIdentity): string {
  return `${process.comm} (pid ${process.pid})`;
}

const STATES: Readonly<Record<string, string>> = {
  R: 'running', S: 'sleeping', D: 'waiting for a device', T: 'stopped', t: 'stopped by a debugger', Z: 'a zombie', X: 'dead', I: 'idle', P: 'parked',
};

/** State letter of /proc/PID/stat in words. */
export function stateText(state: string): string {
  return STATES[state.slice(0, 1)] ?? state;
}
