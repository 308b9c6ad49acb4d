import { writeFileSync } from 'node:fs';
import type { Key as InkKey } from 'ink';
import type { ReactElement } from 'react';
import type { WatchState } from '../../report/index.ts';
import { renderIncident, renderSummary } from '../cli/index.ts';
import { copySequence } from './clipboard.ts';
import { screen, type Look } from './screen.ts';
import { press, START, visible, type Effect, type Key, type Ui } from './ui.ts';

export interface TuiInput {
  readonly stdout: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly options: Look & {
    /** Where `e` writes its files. */
    readonly directory: string;
    readonly inTmux?: boolean;
  };
}

export interface Tui {
  /** May be called at any rate: the newest state is drawn, at most {@link FRAME_MS} apart. */
  update(state: WatchState): void;
  /** Gives the terminal back as it was. May be called twice. */
  close(): Promise<void>;
  /** Called once, when the user wants to end. The screen is still up then. */
  onQuit: (() => void) | undefined;
}

/** Between redraws for new data; keys are answered at once. */
const FRAME_MS = 500;

/** The live screen of `watch`. Ink draws (differences only, in synchronised updates) and reads the keys. */
export async function createTui({ stdout, stdin, options }: TuiInput): Promise<Tui> {
  // react chooses its slow, talkative build unless this says otherwise before it is loaded
  const { env } = process;
  env['NODE_ENV'] ??= 'production';
  // here and not above: 200 ms and 80 MB that only this view needs, and a bundle would load static imports at every start
  const [{ Box, render, Text, useInput, usePaste }, { createElement: h, useEffect, useState }] = await Promise.all([import('ink'), import('react')]);
  let ui: Ui = START;
  let state: WatchState | undefined;
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;
  let redraw: () => void = () => {};
  let closed = false;
  const lately = recentShare();
  const size = (): { columns: number; rows: number } => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 });

  const tui: Tui = {
    onQuit: undefined,
    update: (next) => {
      state = { cpuShare: lately(next), ...next };
      if (timer !== undefined || closed) return;
      timer = setTimeout(() => {
        timer = undefined;
        drawn = performance.now();
        redraw();
      }, Math.max(0, drawn + FRAME_MS - performance.now()));
      timer.unref();
    },
    close: async () => {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      stdout.off('resize', onResize);
      app.unmount();
      await app.waitUntilExit();
    },
  };

  const quit = (): void => {
    tui.onQuit?.();
    tui.onQuit = undefined;
  };
  const carryOut = (effect: Effect, shown: WatchState): void => {
    switch (effect.do) {
      case 'quit':
        return quit();
      case 'copy':
        stdout.write(copySequence(effect.text, options.inTmux ?? false));
        return;
      case 'export':
        ui = { ...ui, message: exported(shown, ui, options.directory) };
    }
  };
  const onKey = (key: Key): void => {
    if (state === undefined) {
      if (key.name === 'interrupt' || (key.name === 'text' && key.text === 'q')) quit();
      return;
    }
    const { extent } = screen(state, ui, size(), options);
    const next = press(ui, key, state, extent);
    ui = next.ui;
    if (next.effect !== undefined) carryOut(next.effect, ui.held ?? state);
    redraw();
  };
  const onResize = (): void => redraw();

  function App(): ReactElement {
    const [, setFrame] = useState(0);
    useEffect(() => {
      redraw = () => setFrame((n) => n + 1);
      return () => {
        redraw = () => {};
      };
    }, []);
    useInput((input, key) => keysOf(input, key).forEach(onKey));
    usePaste((text) => {
      if (ui.editing !== undefined) onKey({ name: 'text', text });
    });
    const { columns, rows } = size();
    const lines = state === undefined ? ['arming probes'] : screen(state, ui, { columns, rows }, options).lines;
    return h(Box, { flexDirection: 'column', width: columns, height: rows, overflow: 'hidden' }, ...lines.map((line, i) => h(Text, { key: i, wrap: 'truncate-end' }, line === '' ? ' ' : line)));
  }

  stdout.on('resize', onResize);
  const app = render(h(App), { stdout, stdin, alternateScreen: true, interactive: true, exitOnCtrlC: false, patchConsole: false, incrementalRendering: true, isScreenReaderEnabled: false, maxFps: 20 });
  return tui;
}

/** Share of one CPU in the last ten seconds: starting costs more than watching, and should not hide what watching costs. */
function recentShare(): (state: WatchState) => number {
  const seen: { now: number; cpu: number }[] = [];
  return ({ now, started, cost }) => {
    seen.push({ now, cpu: cost.cpuSeconds });
    while (seen.length > 2 && now - seen[1]!.now > 10_000) seen.shift();
    const [first] = seen;
    return first === undefined || now - first.now < 900 ? cost.cpuSeconds / Math.max(0.001, (now - started) / 1000) : (cost.cpuSeconds - first.cpu) / ((now - first.now) / 1000);
  };
}

/** One event of Ink may hold several typed characters; each is a key. */
export function keysOf(input: string, key: InkKey): Key[] {
  if (key.ctrl) return input === 'c' ? [{ name: 'interrupt' }] : [];
  if (key.upArrow) return [{ name: 'up' }];
  if (key.downArrow) return [{ name: 'down' }];
  if (key.pageUp) return [{ name: 'page-up' }];
  if (key.pageDown) return [{ name: 'page-down' }];
  if (key.home) return [{ name: 'home' }];
  if (key.end) return [{ name: 'end' }];
  if (key.return) return [{ name: 'enter' }];
  if (key.escape) return [{ name: 'escape' }];
  if (key.leftArrow) return [{ name: 'left' }];
  if (key.backspace || key.delete) return [{ name: 'backspace' }];
  if (key.rightArrow || key.tab) return [];
  const typed = [...input].map((text): Key => ({ name: 'text', text }));
  // Escape and a key right behind it arrive as one, as Alt and the key would: nothing here is bound to Alt
  return key.meta && typed.length > 0 ? [{ name: 'escape' }, ...typed] : typed;
}

/** What `e` did: the whole incident or the whole list as text, in a new file that only its owner can read. */
function exported(state: WatchState, ui: Ui, directory: string): string {
  const opened = ui.view === 'detail' ? state.incidents.find((i) => i.id === ui.selected) : undefined;
  const plain = { width: 100, colour: false, unicode: true, now: state.now };
  const diagram = opened === undefined ? undefined : state.diagrams?.get(opened.id);
  const text =
    opened === undefined
      ? renderSummary({ incidents: visible(state, ui), loss: state.losses, cost: state.cost, ran: state.now - state.started, probes: state.probes, ...(state.diagrams === undefined ? {} : { diagrams: state.diagrams }) }, plain)
      : renderIncident(opened, diagram === undefined ? plain : { ...plain, diagram });
  const stamp = new Date(state.now).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const file = `${directory}/whydrop-${stamp}${opened === undefined ? '' : `-${opened.cause.id.replace(/[^a-z0-9.-]/gi, '_')}`}.txt`;
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EEXIST' ? `${file} is there already` : `writing ${file}: ${code ?? String(error)}`;
  }
  return `written to ${file}`;
}
