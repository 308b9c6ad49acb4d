import { createRequire } from 'node:module';
import { styleText } from 'node:util';
import { printable } from '../../base/text.ts';

/** How text is to be drawn; {@link terminalOptions} finds it out, tests say it. */
export interface TextOptions {
  /** Columns; lines are wrapped to it, commands never. */
  readonly width: number;
  readonly colour: boolean;
  /** False in a locale that is not UTF-8: then nothing but ASCII is written. Default true. */
  readonly unicode?: boolean;
  /** Milliseconds since 1970, for ages. Default: the time of the incident's last loss. */
  readonly now?: number;
}

/** The facts of a stream and an environment that decide how to draw. */
export function terminalOptions(stream: { readonly isTTY?: boolean; readonly columns?: number }, env: Readonly<Record<string, string | undefined>>, plain = false): { width: number; colour: boolean; unicode: boolean } {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  const columns = stream.columns ?? Number(env['COLUMNS'] ?? '');
  return {
    width: Number.isInteger(columns) && columns >= 20 ? Math.min(columns, 250) : 100,
    // https://no-color.org: present and not empty
    colour: stream.isTTY === true && !plain && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
    unicode: /utf-?8/i.test(locale),
  };
}

export type Style = Parameters<typeof styleText>[0];

type StringWidth = typeof import('string-width').default;
let stringWidth: StringWidth | undefined;

/** Columns that `text` takes on a terminal. */
export function columns(text: string): number {
  // printable Latin, punctuation, arrows, box drawing and blocks: one column each
  if (/^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2015\u2018-\u201f\u2026\u2190-\u2195\u2500-\u2595\u25b2\u25b6\u25c0\u25cb\u25cf\u2717]*$/.test(text)) return text.length;
  // 30 ms to load, and hardly any text needs it
  stringWidth ??= (createRequire(import.meta.url)('string-width') as { default: StringWidth }).default;
  return stringWidth(text);
}

const ASCII: Readonly<Record<string, string>> = { '→': '->', '←': '<-', '…': '...', '·': '-', '–': '-', '—': '-', '●': '*', '▲': '!', '○': '-', '✗': 'x', '│': '|', '─': '-', '▶': '>', '◀': '<', '┼': '+', '≥': '>=', '≤': '<=', '×': 'x', 'µ': 'u', '“': '"', '”': '"', '‘': "'", '’': "'", '↑': '^', '↓': 'v' };

/** Nothing but ASCII: signs of ours by their likeness, everything else as `\u{…}`. */
export function ascii(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[^\x00-\x7f]/gu, (c) => ASCII[c] ?? `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** Words wrapped to `width` columns; lines after the first begin with `hang`. A word that is longer stays whole: addresses and rules must remain copyable. */
export function wrap(text: string, width: number, indent = '', hang = indent): string[] {
  const room = Math.max(20, width - Math.max(indent.length, hang.length));
  const lines: string[] = [];
  let line = '';
  let used = 0;
  for (const word of text.split(' ')) {
    const wide = columns(word);
    if (line !== '' && used + 1 + wide > room) {
      lines.push((lines.length === 0 ? indent : hang) + line);
      line = word;
      used = wide;
    } else {
      used += (line === '' ? 0 : 1) + wide;
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push((lines.length === 0 ? indent : hang) + line);
  return lines;
}

const segments = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Cut to `width` columns between characters as readers see them; `…` says that it was cut. */
export function fit(text: string, width: number, unicode = true): string {
  if (columns(text) <= width) return text;
  const more = unicode ? '…' : '~';
  if (width <= 1) return width === 1 ? more : '';
  let out = '';
  let used = 0;
  for (const { segment } of segments.segment(text)) {
    const wide = columns(segment);
    if (used + wide > width - 1) break;
    out += segment;
    used += wide;
  }
  return out + more;
}

/** Cut into pieces of at most `width` columns each; nothing is lost. */
export function chunks(text: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  let used = 0;
  for (const { segment } of segments.segment(text)) {
    const wide = columns(segment);
    if (used + wide > width && piece !== '') {
      pieces.push(piece);
      piece = '';
      used = 0;
    }
    piece += segment;
    used += wide;
  }
  pieces.push(piece);
  return pieces;
}

/** Cut or filled to exactly `width` columns. */
export function pad(text: string, width: number, unicode = true, right = false): string {
  const cut = fit(text, width, unicode);
  const fill = ' '.repeat(Math.max(0, width - columns(cut)));
  return right ? fill + cut : cut + fill;
}

/** Draws lines; the last step of every view that writes text. */
export interface Painter {
  readonly width: number;
  readonly unicode: boolean;
  /** Text from outside made harmless. */
  readonly outside: (text: string) => string;
  readonly style: (style: Style, text: string) => string;
  readonly join: (lines: readonly string[]) => string;
}

export function createPainter(options: TextOptions): Painter {
  const unicode = options.unicode ?? true;
  return {
    width: options.width,
    unicode,
    outside: unicode ? printable : (text) => ascii(printable(text)),
    style: options.colour ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text,
    join: (lines) => (unicode ? lines.join('\n') : ascii(lines.join('\n'))) + '\n',
  };
}
