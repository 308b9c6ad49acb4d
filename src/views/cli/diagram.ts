import { actorIndex, clock, type Diagram } from '../../report/index.ts';
import { columns, createPainter, fit, pad, type TextOptions } from './text.ts';

/** A diagram on its own, with its title. */
export function renderDiagram(diagram: Diagram, options: TextOptions): string {
  const { outside, style, width, unicode, join } = createPainter(options);
  return join([style('bold', outside(diagram.title)), ...diagramLines(diagram, width - 2, unicode, outside).map((l) => `  ${l}`)]);
}

/**
 * A sequence diagram in text: a column for each actor, a line for each message. `clean` makes text from outside
 * harmless. Too narrow for columns, or two actors too many: a numbered list says the same.
 */
export function diagramLines(diagram: Diagram, width: number, unicode: boolean, clean: (text: string) => string): string[] {
  const actors = diagram.actors.map((a) => clean(a.label));
  const known = diagram.messages.filter((m) => actorIndex(diagram, m.from) >= 0 && actorIndex(diagram, m.to) >= 0);
  const timed = known.some((m) => m.time !== undefined);
  const gutter = timed ? 14 : 0;
  const column = Math.floor((width - gutter) / Math.max(1, actors.length));
  if (column < 16 || actors.length === 0) return listed(diagram, clean);
  const bar = unicode ? '│' : '|';
  const centre = (i: number): number => i * column + Math.floor(column / 2);
  const rail = (): string[] => {
    const cells = Array.from({ length: actors.length * column }, () => ' ');
    actors.forEach((_, i) => (cells[centre(i)] = bar));
    return cells;
  };
  const lines = [' '.repeat(gutter) + actors.map((a) => centred(fit(a, column - 2, unicode), column)).join('')];
  for (const message of known) {
    const from = actorIndex(diagram, message.from);
    const to = actorIndex(diagram, message.to);
    const time = message.time === undefined ? '' : clean(clock(message.time));
    const mark = message.kind === 'lost' ? (unicode ? '✗ ' : 'X ') : message.kind === 'cause' ? '! ' : '';
    const text = mark + clean(message.text);
    const left = Math.min(from, to);
    const right = Math.max(from, to);
    // the words stand over the arrow, from its left end to the edge of the page
    const begin = Math.min(centre(left) + 2, actors.length * column - columns(text));
    lines.push(pad(time, gutter, unicode) + over(rail(), begin < centre(left) - columns(text) ? begin : begin === centre(left) + 2 ? begin : Math.max(0, centre(left) - 1 - columns(text)), text, unicode));
    if (from === to) continue;
    const cells = rail();
    for (let i = centre(left) + 1; i < centre(right); i++) cells[i] = unicode ? '─' : '-';
    if (to > from) cells[centre(right) - 1] = unicode ? '▶' : '>';
    else cells[centre(left) + 1] = unicode ? '◀' : '<';
    lines.push(' '.repeat(gutter) + cells.join('').trimEnd());
  }
  return lines.map((l) => l.trimEnd());
}

/** Writes `text` over the rails from `at` on, rails right of it stay. */
function over(cells: readonly string[], at: number, text: string, unicode: boolean): string {
  const cut = fit(text, cells.length - at, unicode);
  return cells.slice(0, at).join('') + cut + ' ' + cells.slice(at + columns(cut) + 1).join('');
}

function centred(text: string, width: number): string {
  const left = Math.max(0, Math.floor((width - columns(text)) / 2));
  return ' '.repeat(left) + text + ' '.repeat(Math.max(0, width - columns(text) - left));
}

function listed(diagram: Diagram, clean: (text: string) => string): string[] {
  const name = (id: string): string => clean(diagram.actors.find((a) => a.id === id)?.label ?? id);
  return diagram.messages.map((m, i) => {
    const lost = m.kind === 'lost' ? ' (lost)' : '';
    const who = m.from === m.to ? name(m.from) : `${name(m.from)} to ${name(m.to)}`;
    return `${i + 1}. ${m.time === undefined ? '' : `${clean(clock(m.time))} `}${who}: ${clean(m.text)}${lost}`;
  });
}
