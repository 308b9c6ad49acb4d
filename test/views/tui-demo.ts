/**
 * The live screen fed with the fixtures, for tests in tmux and for eyes: `node test/views/tui-demo.ts [MS] [flood|empty]`.
 * MS: how often a new state comes. Prints one line after the screen has gone, as `watch` prints its summary.
 */
import { createTui } from '../../src/views/tui/index.ts';
import { terminalOptions } from '../../src/views/cli/index.ts';
import { STATE } from '../fixtures-incidents.ts';

const every = Number(process.argv[2] ?? 500);
const flood = process.argv[3] === 'flood';
const empty = process.argv[3] === 'empty';
const tui = await createTui({ stdout: process.stdout, stdin: process.stdin, options: { ...terminalOptions(process.stdout, process.env), directory: process.env['DEMO_DIRECTORY'] ?? '.', inTmux: process.env['TMUX'] !== undefined } });
let tick = 0;
const timer = setInterval(() => {
  tick += 1;
  const now = STATE.now + (flood ? tick * 1000 : 0);
  tui.update({
    ...STATE,
    now,
    ...(empty ? { incidents: [], rates: [], losses: [], probes: STATE.probes.filter((p) => p.state === 'armed') } : {}),
    ...(flood ? { incidents: STATE.incidents.map((i, n) => ({ ...i, count: i.count + tick * (n + 1) * 997, last: new Date(now).toISOString() })) } : {}),
  });
}, every);
const end = async (): Promise<void> => {
  clearInterval(timer);
  await tui.close();
  process.stdout.write('demo ended\n');
  process.exit();
};
tui.onQuit = () => void end();
process.once('SIGTERM', () => void end());
