import { grouped, lookOf, type StackCount } from '../../report/index.ts';
import { m, NOTHING, type Markup } from './markup.ts';
import { areaClass } from './style.ts';

const ROW = 20;
/** A frame narrower than this (% of all) is left out of the picture, its count stays in its parent's. */
const NARROWEST = 0.08;
/** One narrower than this has no room for a name. */
const NAMED = 2;
const DEEPEST = 64;
const SITES = 12;

interface Frame {
  readonly name: string;
  count: number;
  readonly children: Map<string, Frame>;
  /** Counts by cause: the frame has the colour of the largest. */
  readonly causes: Map<string, number>;
}

/** Where in the kernel packets were dropped: width is packets, depth is who called whom, the outermost function at the top. */
export function flameSection(stacks: readonly StackCount[]): Markup {
  const used = stacks.filter((s) => s.frames.length > 0 && s.count > 0);
  if (used.length === 0) return NOTHING;
  const root: Frame = { name: 'all', count: 0, children: new Map(), causes: new Map() };
  for (const { cause, frames, count } of used) {
    let at = root;
    root.count += count;
    for (const name of frames.toReversed().slice(-DEEPEST)) {
      const bare = name.replace(/\+0x[0-9a-f]+/, '');
      let next = at.children.get(bare);
      if (next === undefined) {
        next = { name: bare, count: 0, children: new Map(), causes: new Map() };
        at.children.set(bare, next);
      }
      next.count += count;
      next.causes.set(cause, (next.causes.get(cause) ?? 0) + count);
      at = next;
    }
  }
  const boxes: Markup[] = [];
  const deepest = draw(root, 0, 0, root.count, boxes);
  const height = (deepest + 1) * ROW + 2;
  return m`<section id="where"><h2>Where in the kernel</h2><p class="soft">Stacks of the dropped packets: as wide as the packets lost there (${grouped(root.count)} in all), callers above, the function that dropped at the bottom.</p><figure><svg width="100%" height="${height}" role="img" aria-label="${label(used)}"><g class="flame">${boxes}</g></svg></figure>${sites(used)}</section>`;
}

/** The same by the dropping function, so that what is too narrow to be drawn is not lost. */
function sites(stacks: readonly StackCount[]): Markup {
  const at = new Map<string, { readonly cause: string; readonly frame: string; count: number }>();
  for (const { cause, frames, count } of stacks) {
    const frame = frames[0] ?? '';
    const site = at.get(`${frame} ${cause}`) ?? { cause, frame, count: 0 };
    site.count += count;
    at.set(`${frame} ${cause}`, site);
  }
  const rows = [...at.values()].sort((a, b) => b.count - a.count).slice(0, SITES);
  return m`<table><thead><tr><th scope="col">dropped in</th><th scope="col">cause</th><th scope="col" class="n">packets</th></tr></thead><tbody>${rows.map((r) => m`<tr><td class="mono">${r.frame}</td><td class="${areaClass(lookOf(r.cause))}"><span class="area">${r.cause}</span></td><td class="n">${grouped(r.count)}</td></tr>`)}</tbody></table>`;
}

function draw(frame: Frame, x: number, depth: number, all: number, boxes: Markup[]): number {
  let deepest = depth - 1;
  let left = x;
  for (const child of [...frame.children.values()].sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))) {
    const width = (child.count / all) * 100;
    if (width >= NARROWEST) {
      const cause = [...child.causes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'unknown';
      // a picture of its own: it is as wide as the page lets it be, and cuts a name that is wider
      const text = width >= NAMED ? m`<text x="5" y="13">${child.name}</text>` : NOTHING;
      boxes.push(m`<svg class="${areaClass(lookOf(cause))}" x="${left.toFixed(3)}%" y="${depth * ROW + 1}" width="${Math.max(0.05, width - 0.05).toFixed(3)}%" height="${ROW - 2}"><title>${`${child.name}: ${grouped(child.count)} (${width.toFixed(1)} %)`}</title><rect width="100%" height="100%" rx="2"/>${text}</svg>`);
      deepest = Math.max(deepest, depth, draw(child, left, depth + 1, all, boxes));
    }
    left += width;
  }
  return deepest;
}

function label(stacks: readonly StackCount[]): string {
  const top = stacks.toSorted((a, b) => b.count - a.count).slice(0, 5);
  return `Flame graph of drop stacks. ${top.map((s) => `${s.frames[0]}: ${grouped(s.count)}`).join('; ')}`;
}
