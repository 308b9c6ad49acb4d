import { counted, grouped, type LossLine, type ProbeLine } from '../../report/index.ts';
import { createPainter, wrap, type TextOptions } from './text.ts';

export interface ArmedInput {
  readonly kernel: string;
  readonly netns: readonly { readonly inode: number; readonly name?: string }[];
  readonly probes: readonly ProbeLine[];
}

const NAMED = 4;

/** The first words of a watch that writes lines: what is watched, and what is not. */
export function renderArmed(armed: ArmedInput, options: TextOptions): string {
  const { outside, width, join } = createPainter(options);
  const names = armed.netns.slice(0, NAMED).map((n) => n.name ?? `net:[${n.inode}]`);
  const more = armed.netns.length - names.length;
  const missing = armed.probes.filter((p) => p.state === 'unavailable').map((p) => p.id);
  const where = names.length === 0 ? 'every network namespace' : `${names.join(', ')}${more > 0 ? ` and ${counted(more, 'other')}` : ''}`;
  const blind = missing.length === 0 ? '' : ` Not armed: ${missing.join(', ')} (whydrop doctor says why).`;
  return join(wrap(outside(`Watching ${where} on kernel ${armed.kernel}. Ctrl-C ends it with a summary.${blind}`), width));
}

/** whydrop itself missed something. */
export function renderLoss(loss: LossLine, options: TextOptions): string {
  const { outside, width, join } = createPainter(options);
  return join(wrap(outside(`Not seen: ${loss.text} (${grouped(loss.count)}, ${loss.source})`), width, '', '  '));
}
