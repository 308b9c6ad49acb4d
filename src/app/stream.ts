import type { Incident } from '../model/incident.ts';
import type { ProbeState } from './session.ts';

/** Lines of the `--json` stream; the contract is in docs/json-schema/. */
export type StreamLine =
  | { readonly type: 'armed'; readonly kernel: string; readonly netns: readonly { readonly inode: number; readonly name?: string }[]; readonly probes: readonly ProbeState[] }
  | Incident
  | ({ readonly type: 'loss' } & Loss)
  | Summary;

export interface Loss {
  readonly source: string;
  readonly count: number;
  readonly text: string;
}

export interface Summary {
  readonly type: 'summary';
  readonly incidents: readonly Incident[];
  readonly loss: readonly Loss[];
  readonly cost: Cost;
}

export interface Cost {
  readonly cpuSeconds: number;
  /** Bytes. */
  readonly peakRss: number;
  readonly eventsSeen: number;
  /** Time inside our kernel-side programs per event, where the kernel counts it. */
  readonly perEventNs?: number;
}

/** What this process has used so far. */
export function cost(eventsSeen: number): Cost {
  const usage = process.resourceUsage();
  return {
    cpuSeconds: Math.round((usage.userCPUTime + usage.systemCPUTime) / 1000) / 1000,
    peakRss: usage.maxRSS * 1024,
    eventsSeen,
  };
}

/** Bigints become numbers where they fit and strings where they do not. */
export function jsonLine(line: unknown): string {
  const text = JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? (value <= 9007199254740991n && value >= -9007199254740991n ? Number(value) : value.toString()) : value));
  return `${text.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

/** What JSON lets through raw and a terminal obeys or hides: DEL, C1, line separators, bidi and zero-width characters. */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Writes to stdout; a reader that went away (`| head`) ends the run quietly. */
export function createOutput(onGone: () => void): { write(text: string): void; flush(): Promise<void> } {
  let gone = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!gone) onGone();
    gone = true;
  });
  return {
    write: (text) => {
      if (!gone) process.stdout.write(text);
    },
    flush: () => new Promise((done) => (gone || process.stdout.writableLength === 0 ? done() : process.stdout.write('', () => done()))),
  };
}
