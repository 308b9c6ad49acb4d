import type { Incident } from '../model/incident.ts';
import { renderSummary, terminalOptions, type TextOptions } from '../views/cli/index.ts';
import type { Diagram } from '../report/index.ts';
import type { ProbeState } from './session.ts';
import type { Summary } from './stream.ts';

/** How to draw on a stream of this process. */
export function look(stream: NodeJS.WriteStream, plain = false): TextOptions & { readonly unicode: boolean } {
  return terminalOptions(stream, process.env, plain);
}

/** The end of a run, as text. */
export function plainSummary(summary: Summary, stream: NodeJS.WriteStream, plain = false, more: { readonly ran?: number; readonly probes?: readonly ProbeState[]; readonly diagrams?: ReadonlyMap<string, Diagram> } = {}): string {
  return renderSummary({ ...summary, ...more }, { ...look(stream, plain), now: Date.now() });
}

/** Whether an incident is worth a word while it forms: what is normal waits for the summary. */
export const worthShowing = (incident: Incident): boolean => incident.severity !== 'info';
