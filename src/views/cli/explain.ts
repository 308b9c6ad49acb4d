import type { Knowledge } from '../../model/cause.ts';
import { lookOf } from '../../report/index.ts';
import { createPainter, wrap, type TextOptions } from './text.ts';

/** What is known of some words: a cause, a drop reason, a symbol, an errno. */
export interface ExplanationInput {
  readonly about: 'cause' | 'reason' | 'symbol' | 'errno' | 'words';
  readonly title: string;
  readonly text: string;
  /** Most likely first. */
  readonly causes: readonly { readonly id: string; readonly title: string; readonly knowledge: Knowledge }[];
}

const ABOUT: Readonly<Record<ExplanationInput['about'], string>> = { cause: 'cause', reason: 'drop reason', symbol: 'kernel function', errno: 'error', words: '' };

/** One cause is told whole; of several each has its title and what happens. */
export function renderExplain(explanation: ExplanationInput, options: TextOptions): string {
  const { outside, style, width, join } = createPainter(options);
  const about = ABOUT[explanation.about];
  const lines = [`${style('bold', outside(explanation.title))}${about === '' ? '' : ` (${about})`}`];
  if (explanation.text !== '') lines.push('', ...wrap(outside(explanation.text), width));
  const [only, ...others] = explanation.causes;
  if (only === undefined) return join(lines);
  if (others.length === 0) {
    if (explanation.about !== 'cause') lines.push('', `${style(['bold', lookOf(only.id).ansi], outside(only.id))}  ${outside(only.title)}`);
    const { knowledge } = only;
    lines.push('', ...wrap(outside(knowledge.what), width));
    const list = (title: string, items: readonly string[]): void => {
      if (items.length === 0) return;
      lines.push('', style('bold', title));
      for (const item of items) lines.push(...wrap(outside(item), width - 4, '').map((l, i) => (i === 0 ? `  - ${l}` : `    ${l}`)));
    };
    const row = (title: string, items: readonly string[]): void => {
      if (items.length > 0) lines.push('', style('bold', title), ...wrap(outside(items.join(', ')), width, '  '));
    };
    list('How one notices', knowledge.signs);
    list('What to do', knowledge.fixes);
    row('Kernel functions', knowledge.functions);
    row('Drop reasons', knowledge.reasons);
    row('Errors that a sender sees', knowledge.errnos);
    list('Between kernel versions', knowledge.versions);
    list('Sources', knowledge.sources);
    return join(lines);
  }
  lines.push('', style('bold', 'It can come from'));
  for (const cause of explanation.causes) {
    lines.push('', `  ${style(['bold', lookOf(cause.id).ansi], outside(cause.id))}  ${outside(cause.title)}`, ...wrap(outside(cause.knowledge.what), width, '    '));
  }
  lines.push('', `More about one of them: whydrop explain ${outside(only.id)}`);
  return join(lines);
}
