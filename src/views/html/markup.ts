import { html } from '../../base/text.ts';

/** HTML or SVG that is safe to put into a page. Only {@link m} makes it, so nothing gets in unescaped. */
export interface Markup {
  readonly markup: string;
}

type Value = Markup | string | number | undefined | readonly Markup[];

/** m`<p class="${a}">${text}</p>`: every value is escaped unless it is markup already; `undefined` is nothing. Attribute values must be quoted. */
export function m(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  let out = strings[0] ?? '';
  values.forEach((value, i) => {
    out += place(value) + (strings[i + 1] ?? '');
  });
  return { markup: out };
}

/** Letters that are written from right to left, and what stands between them. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+(?:[\s'-]+[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+)*/g;

/** Text to be copied to the letter: escaped, and nothing else. */
export function letters(text: string): Markup {
  return { markup: html(text) };
}

/** A name from right to left is set apart: otherwise it would turn round the numbers and arrows behind it. */
const isolated = (text: string): string => text.replace(RIGHT_TO_LEFT, '\u2068$&\u2069');

function place(value: Value): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return isolated(html(value));
  if (typeof value === 'number') return String(value);
  return 'markup' in value ? value.markup : value.map((v) => v.markup).join('');
}

export const NOTHING: Markup = { markup: '' };
