import type { Incident } from '../../model/incident.ts';
import { reportOf, type WatchState } from '../../report/index.ts';

/** What the user did to the screen; what is known is in WatchState. */
export interface Ui {
  readonly view: 'list' | 'detail' | 'help';
  /** Incident under the cursor, by id: it stays under the cursor when ranks change. */
  readonly selected?: string;
  /** First line shown of the open incident or the help. */
  readonly scroll: number;
  readonly sort: Sort;
  readonly filter: string;
  /** The filter is being typed; `before` comes back with Escape. */
  readonly editing?: { readonly before: string };
  /** The state that is held while paused. */
  readonly held?: WatchState;
  /** The last thing done, until the next key. */
  readonly message?: string;
}

export const SORTS = ['harm', 'count', 'newest', 'cause'] as const;
export type Sort = (typeof SORTS)[number];

export const START: Ui = { view: 'list', scroll: 0, sort: 'harm', filter: '' };

export type Key =
  | { readonly name: 'up' | 'down' | 'page-up' | 'page-down' | 'home' | 'end' | 'enter' | 'escape' | 'left' | 'backspace' | 'interrupt' }
  | { readonly name: 'text'; readonly text: string };

/** What a key asks for beyond the screen. */
export type Effect = { readonly do: 'quit' } | { readonly do: 'copy'; readonly text: string } | { readonly do: 'export' };

/** Lines that can be scrolled by, and a page of them. */
export interface Extent {
  readonly lines: number;
  readonly page: number;
}

/** What is shown of the incidents: filtered, in order. */
export function visible(state: WatchState, ui: Ui): readonly Incident[] {
  const words = ui.filter.toLowerCase().split(/\s+/).filter((w) => w !== '');
  const found = words.length === 0 ? state.incidents : state.incidents.filter((i) => matches(i, words, state.now));
  switch (ui.sort) {
    case 'harm':
      return found;
    case 'count':
      return found.toSorted((a, b) => b.count - a.count);
    case 'newest':
      return found.toSorted((a, b) => (a.last < b.last ? 1 : a.last > b.last ? -1 : 0));
    case 'cause':
      return found.toSorted((a, b) => (a.cause.id < b.cause.id ? -1 : a.cause.id > b.cause.id ? 1 : 0));
  }
}

function matches(incident: Incident, words: readonly string[], now: number): boolean {
  const { headline, causeId, where, flows } = reportOf(incident, now);
  const text = [headline, causeId, incident.severity, incident.id, ...where.map((w) => w.value), ...flows.map((f) => `${f.who} ${f.protocol} ${f.source} ${f.destination} ${f.failed}`)].join(' ').toLowerCase();
  return words.every((w) => text.includes(w));
}

/** The incident under the cursor; the first when the one that was is gone. */
export function current(list: readonly Incident[], ui: Ui): Incident | undefined {
  return list.find((i) => i.id === ui.selected) ?? list[0];
}

/** One key. Pure: the next screen and what else is to be done. */
export function press(ui: Ui, key: Key, live: WatchState, extent: Extent): { ui: Ui; effect?: Effect } {
  const { message: _done, ...quiet } = ui;
  const state = ui.held ?? live;
  if (key.name === 'interrupt') return { ui, effect: { do: 'quit' } };
  if (ui.editing !== undefined) return { ui: edit(quiet, ui.editing, key) };
  if (key.name === 'text') return command(quiet, key.text, state, live, extent);
  const list = visible(state, ui);
  if (ui.view === 'list') {
    if (key.name === 'enter') return { ui: list.length === 0 ? quiet : { ...quiet, view: 'detail', scroll: 0, selected: current(list, ui)!.id } };
    if (key.name === 'escape') return { ui: { ...quiet, filter: '' } };
    return { ui: select(quiet, list, moved(list.findIndex((i) => i.id === current(list, ui)?.id), key.name, list.length, extent.page)) };
  }
  if (key.name === 'escape' || key.name === 'left' || key.name === 'backspace') return { ui: { ...quiet, view: 'list', scroll: 0 } };
  return { ui: { ...quiet, scroll: Math.min(Math.max(0, extent.lines - extent.page), moved(ui.scroll, key.name, extent.lines, extent.page)) } };
}

function edit(ui: Ui, editing: { readonly before: string }, key: Key): Ui {
  const { editing: _, ...rest } = ui;
  switch (key.name) {
    case 'text':
      return { ...ui, filter: (ui.filter + key.text.replace(/[^\P{C} ]/gu, '')).slice(0, 200) };
    case 'backspace':
      return { ...ui, filter: ui.filter.slice(0, -1) };
    case 'enter':
      return rest;
    case 'escape':
      return { ...rest, filter: editing.before };
    default:
      return ui;
  }
}

function moved(at: number, key: Key['name'], length: number, page: number): number {
  const by: Partial<Record<Key['name'], number>> = { up: -1, down: 1, 'page-up': -page, 'page-down': page, home: -length, end: length };
  return Math.min(Math.max(0, length - 1), Math.max(0, at + (by[key] ?? 0)));
}

function select(ui: Ui, list: readonly Incident[], index: number): Ui {
  const incident = list[index];
  return incident === undefined ? ui : { ...ui, selected: incident.id };
}

function command(ui: Ui, text: string, state: WatchState, live: WatchState, extent: Extent): { ui: Ui; effect?: Effect } {
  const list = visible(state, ui);
  const incident = current(list, ui);
  const detail = ui.view === 'detail';
  switch (text) {
    case 'q':
      // in an incident or the help, q goes back first, as in every pager
      return ui.view === 'list' ? { ui, effect: { do: 'quit' } } : { ui: { ...ui, view: 'list', scroll: 0 } };
    case 'j':
      return press(ui, { name: 'down' }, live, extent);
    case 'k':
      return press(ui, { name: 'up' }, live, extent);
    case ' ':
      return press(ui, { name: 'page-down' }, live, extent);
    case 'g':
      return press(ui, { name: 'home' }, live, extent);
    case 'G':
      return press(ui, { name: 'end' }, live, extent);
    case '?':
    case 'h':
      return { ui: ui.view === 'help' ? { ...ui, view: 'list', scroll: 0 } : { ...ui, view: 'help', scroll: 0 } };
    case '/':
      return { ui: { ...ui, view: 'list', scroll: 0, editing: { before: ui.filter } } };
    case 'p': {
      const { held, ...rest } = ui;
      return { ui: held === undefined ? { ...ui, held: live, message: 'paused: what is shown stands still, watching goes on' } : { ...rest, message: 'going on' } };
    }
    case 's': {
      const sort = SORTS[(SORTS.indexOf(ui.sort) + 1) % SORTS.length]!;
      return { ui: detail ? ui : { ...ui, sort, message: `sorted by ${sort}` } };
    }
    case 'e':
      return { ui, effect: { do: 'export' } };
    case 'n':
    case 'N': {
      if (!detail) return { ui };
      const next = list[list.findIndex((i) => i.id === incident?.id) + (text === 'n' ? 1 : -1)];
      return { ui: next === undefined ? { ...ui, message: text === 'n' ? 'this is the last one' : 'this is the first one' } : { ...ui, selected: next.id, scroll: 0 } };
    }
    case 'y':
    case 'u':
      return copy(ui, incident, 0, text === 'u');
    default:
      return /^[1-9]$/.test(text) && detail ? copy(ui, incident, Number(text) - 1, false) : { ui };
  }
}

function copy(ui: Ui, incident: Incident | undefined, index: number, undo: boolean): { ui: Ui; effect?: Effect } {
  if (ui.view === 'help' || incident === undefined) return { ui };
  const remedies = incident.remedies.filter((r) => (undo ? r.undo : r.command) !== undefined);
  const text = undo ? remedies[index]?.undo : remedies[index]?.command;
  if (text === undefined) return { ui: { ...ui, message: undo ? 'there is no command to undo it' : index === 0 ? 'there is no command that would fix this' : `there is no command number ${index + 1}` } };
  return { ui: { ...ui, message: `copied: ${text}` }, effect: { do: 'copy', text } };
}
