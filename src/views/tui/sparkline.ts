const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LETTERS = ['_', '.', ':', '-', '=', '+', '*', '#'];

/** The newest values as one line of `width` signs; every value of a sign counts (the largest is drawn), none is skipped. */
export function sparkline(values: readonly number[], width: number, unicode: boolean, max = Math.max(0, ...values)): string {
  if (width <= 0) return '';
  const signs = unicode ? BLOCKS : LETTERS;
  // a line shorter than the history: neighbours share a sign, so a burst of a second stays visible
  const each = Math.max(1, Math.ceil(values.length / width));
  let line = '';
  for (let end = values.length; end > 0 && line.length < width; end -= each) {
    let value = 0;
    for (let i = Math.max(0, end - each); i < end; i++) value = Math.max(value, values[i] ?? 0);
    line = (value <= 0 || max <= 0 ? ' ' : (signs[Math.min(7, Math.floor(Math.sqrt(value / max) * 7.999))] ?? '')) + line;
  }
  return line.padStart(width);
}

/** All series added up, second by second, aligned at their ends. */
export function total(series: readonly { readonly perSecond: readonly number[] }[]): number[] {
  const length = Math.max(0, ...series.map((s) => s.perSecond.length));
  const sum = Array.from({ length }, () => 0);
  for (const { perSecond } of series) perSecond.forEach((v, i) => (sum[length - perSecond.length + i]! += v));
  return sum;
}
