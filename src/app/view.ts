import type { Incident } from '../model/incident.ts';
import { createRates, type Diagram, type WatchState } from '../report/index.ts';
import { renderArmed, renderIncident, renderLoss, renderUpdate } from '../views/cli/index.ts';
import { createTui, type Tui } from '../views/tui/index.ts';
import { steadyNow } from './clock.ts';
import type { Live } from './live.ts';
import { look, plainSummary, worthShowing } from './plain.ts';
import { WITHOUT } from './probes.ts';
import type { Listener, ProbeState } from './session.ts';
import { cost, jsonLine, type StreamLine, type Summary } from './stream.ts';

/** What a watch shows, one of three: JSON lines, plain lines, or the live screen. */
export interface WatchView {
  readonly listener: Listener;
  armed(line: Extract<StreamLine, { type: 'armed' }>, live: Live): Promise<void> | void;
  /** After the probes are gone: the last words. */
  summary(summary: Summary): Promise<void> | void;
}

export interface ViewOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
}

type Output = { write(text: string): void };

export function createView(options: ViewOptions, output: Output, quit: () => void): WatchView {
  if (options.json === true) return jsonView(output);
  if (options.plain === true || !process.stdout.isTTY || !process.stdin.isTTY || process.env['TERM'] === 'dumb') return plainView(output, options.plain === true);
  return screenView(output, quit);
}

function jsonView(output: Output): WatchView {
  return {
    listener: {
      incidents: (incidents) => output.write(incidents.map(jsonLine).join('')),
      missed: (loss) => output.write(jsonLine({ type: 'loss', ...loss })),
    },
    armed: (line) => output.write(jsonLine(line)),
    summary: (summary) => output.write(jsonLine(summary)),
  };
}

/** A line that names what is watched, an incident as it forms, a line when it grows, and the summary. */
function plainView(output: Output, plain: boolean): WatchView {
  const counts = new Map<string, number>();
  const lastUpdate = new Map<string, number>();
  const started = steadyNow();
  let probes: readonly ProbeState[] = [];
  let diagrams: ReadonlyMap<string, Diagram> = new Map();
  return {
    listener: {
      incidents: (incidents) => {
        for (const incident of incidents.filter(worthShowing)) {
          const before = counts.get(incident.id);
          const text = look(process.stdout, plain);
          if (before === undefined) output.write(`${renderIncident(incident, { ...text, compact: true, now: steadyNow() })}\n`);
          else if (incident.count > before && steadyNow() - (lastUpdate.get(incident.id) ?? 0) >= UPDATE_MS) {
            lastUpdate.set(incident.id, steadyNow());
            output.write(renderUpdate(incident, before, text));
          } else continue;
          counts.set(incident.id, incident.count);
        }
      },
      missed: (loss) => output.write(renderLoss(loss, look(process.stdout, plain))),
    },
    armed: (line, live) => {
      probes = line.probes;
      diagrams = live.session.diagrams;
      output.write(renderArmed(line, look(process.stdout, plain)));
    },
    summary: (summary) => output.write(plainSummary(summary, process.stdout, plain, { ran: steadyNow() - started, probes, diagrams })),
  };
}

/** A loss that goes on is worth a line this often. */
const UPDATE_MS = 5_000;

/** The live screen: state in, drawn at most twice a second. */
function screenView(output: Output, quit: () => void): WatchView {
  const rates = createRates();
  const started = steadyNow();
  let tui: Tui | undefined;
  let timer: NodeJS.Timeout | undefined;
  let live: Live | undefined;
  let line: Extract<StreamLine, { type: 'armed' }> | undefined;

  const state = (): WatchState | undefined => {
    if (live === undefined || line === undefined) return undefined;
    const incidents: readonly Incident[] = live.session.incidents();
    const now = steadyNow();
    rates.add(now, incidents);
    return {
      now, started, hostname: live.host.hostname, kernel: live.host.kernel, netns: line.netns,
      probes: line.probes.map((p) => ({ ...p, ...(WITHOUT[p.id] === undefined ? {} : { without: WITHOUT[p.id] }) })) as WatchState['probes'],
      incidents, rates: rates.series(), losses: live.session.losses, diagrams: live.session.diagrams, cost: cost(live.session.eventsSeen),
    };
  };
  return {
    listener: {},
    armed: async (armed, session) => {
      line = armed;
      live = session;
      const { colour, unicode } = look(process.stdout);
      tui = await createTui({ stdout: process.stdout, stdin: process.stdin, options: { colour, unicode, directory: process.cwd(), inTmux: process.env['TMUX'] !== undefined } });
      tui.onQuit = quit;
      const draw = (): void => {
        const next = state();
        if (next !== undefined) tui?.update(next);
      };
      draw();
      timer = setInterval(draw, 500);
    },
    summary: async (summary) => {
      clearInterval(timer);
      await tui?.close();
      output.write(plainSummary(summary, process.stdout, false, { ran: steadyNow() - started, probes: line?.probes ?? [], ...(live === undefined ? {} : { diagrams: live.session.diagrams }) }));
    },
  };
}
