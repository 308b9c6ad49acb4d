import { clip } from '../../base/text.ts';
import { actorIndex, clock, type Diagram } from '../../report/index.ts';
import { m, NOTHING, type Markup } from './markup.ts';

const GUTTER = 100;
const COLUMN = 200;
const ROW = 44;
const TOP = 56;
/** Monospace at 12 px: width of a character. */
const CHARACTER = 7.25;

/** A sequence diagram as SVG: a rail for each actor, an arrow for each message, time at the left. */
export function sequenceFigure(diagram: Diagram): Markup {
  const messages = diagram.messages.filter((x) => actorIndex(diagram, x.from) >= 0 && actorIndex(diagram, x.to) >= 0);
  if (diagram.actors.length === 0 || messages.length === 0) return NOTHING;
  const gutter = messages.some((x) => x.time !== undefined) ? GUTTER : 0;
  const width = gutter + diagram.actors.length * COLUMN;
  const height = TOP + messages.length * ROW + 16;
  const x = (i: number): number => gutter + i * COLUMN + COLUMN / 2;
  const actors = diagram.actors.map(
    (actor, i) => m`<rect class="actor" x="${x(i) - COLUMN / 2 + 8}" y="4" width="${COLUMN - 16}" height="30" rx="5"/><text x="${x(i)}" y="23" text-anchor="middle">${clip(actor.label, 24)}</text><line class="rail" x1="${x(i)}" y1="34" x2="${x(i)}" y2="${height - 4}"/>`,
  );
  const arrows = messages.map((message, n) => {
    const from = x(actorIndex(diagram, message.from));
    const to = x(actorIndex(diagram, message.to));
    const y = TOP + n * ROW + 22;
    const left = Math.min(from, to);
    const room = Math.floor((width - left - 12) / CHARACTER);
    const long = message.text.length > room;
    // words that would leave the picture stand left of their rail
    const say = long ? m`<text class="say" x="${Math.max(from, to) - 8}" y="${y - 7}" text-anchor="end">${clip(message.text, Math.floor((Math.max(from, to) - gutter) / CHARACTER))}</text>` : m`<text class="say" x="${left + 8}" y="${y - 7}">${message.text}</text>`;
    const at = message.time === undefined ? NOTHING : m`<text class="dim" x="0" y="${y + 4}">${clip(clock(message.time), 13)}</text>`;
    return m`<g class="${message.kind}">${at}${say}${from === to ? m`<circle class="head" cx="${from}" cy="${y - 1}" r="4"/>` : line(from, to, y, message.kind === 'lost')}</g>`;
  });
  const words = messages.map((x2) => `${diagram.actors[actorIndex(diagram, x2.from)]?.label ?? ''} to ${diagram.actors[actorIndex(diagram, x2.to)]?.label ?? ''}: ${x2.text}${x2.kind === 'lost' ? ' (lost)' : ''}`).join('; ');
  const steps = messages.map((x2) => {
    const actor = (id: string): string => diagram.actors[actorIndex(diagram, id)]?.label ?? '';
    return m`<li class="${x2.kind}">${x2.time === undefined ? NOTHING : m`<span class="time">${clock(x2.time)}</span>`}<b>${actor(x2.from)}${x2.from === x2.to ? '' : ` → ${actor(x2.to)}`}</b><br>${x2.text}${x2.kind === 'lost' ? ' (lost)' : ''}</li>`;
  });
  // a phone has no room for the rails: there the same stands in words
  return m`<ol class="steps">${steps}</ol><figure class="scroll rails" tabindex="0"><svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${`${diagram.title}. ${words}`}">${actors}${arrows}</svg></figure>`;
}

function line(from: number, to: number, y: number, lost: boolean): Markup {
  const way = Math.sign(to - from);
  const tip = to - way * 3;
  // what was lost does not arrive
  const end = lost ? to - way * 26 : tip;
  const head = lost
    ? m`<path class="cross" d="M${end - 6} ${y - 6}l12 12m0 -12l-12 12"/>`
    : m`<path class="head" d="M${tip} ${y}l${-way * 9} -4.5v9z"/>`;
  return m`<path class="arrow" d="M${from + way * 3} ${y}H${lost ? end : tip - way * 6}"/>${head}`;
}
