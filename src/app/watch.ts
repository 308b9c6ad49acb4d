import { printable } from '../base/text.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { EnvironmentError, EXIT } from './exit.ts';
import { createKeeper, type Keeper } from './keep.ts';
import { createLearning, learnedText } from './learn.ts';
import { openLive, type LiveOptions } from './live.ts';
import type { Listener } from './session.ts';
import { cost, createOutput, type Summary } from './stream.ts';
import { createView } from './view.ts';

export interface WatchOptions extends LiveOptions {
  readonly for?: number;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly failOnIncident?: boolean;
  readonly learn?: number;
  readonly record?: string;
}

/** `whydrop watch`: until SIGINT, SIGTERM, `--for`, or nobody reads any more; with `recordingAlone`, until nothing can be recorded any more. */
export async function watch(options: WatchOptions, keeping?: Keeper, recordingAlone?: boolean): Promise<void> {
  const keeper = keeping ?? (options.record === undefined ? undefined : createKeeper(options.record, {}));
  if (isUnavailable(keeper)) throw new EnvironmentError(`${keeper.what}: ${keeper.why}`, keeper.fix);
  let end!: () => void;
  const ended = new Promise<void>((done) => (end = done));
  const output = createOutput(end);
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  process.once('SIGHUP', end);

  // a recording that stops is the end of `record`; a watch goes on, and a black box may have room the next time
  void keeper?.failed.then((failure) => {
    process.stderr.write(failureText(failure, keeping === undefined || recordingAlone === true ? 'what was recorded until then is in the file' : 'the file stays as it was'));
    if (recordingAlone === true) end();
  });

  const view = createView(options, output, end);
  const listener: Listener = {
    ...view.listener,
    ...(keeper === undefined ? {} : { record: keeper.write }),
    incidents: (incidents) => {
      view.listener.incidents?.(incidents);
      if (incidents.some((i) => i.severity !== 'info')) keeper?.trigger();
    },
  };
  if (keeper !== undefined) process.on('SIGUSR1', () => keeper.trigger());
  const learning = options.learn === undefined ? undefined : createLearning();
  const live = await openLive(options, listener, (event) => {
    keeper?.event(event);
    return learning?.judged(event) ?? true;
  });
  if (isUnavailable(live)) throw new EnvironmentError(`${live.what}: ${live.why}`, live.fix);
  const { session, states } = live;
  try {
    await session.baseline();
    session.run();
    await view.armed({ type: 'armed', kernel: live.host.kernel, netns: live.watched, probes: states }, live);
    if (learning !== undefined) {
      await Promise.race([ended, new Promise((done) => setTimeout(done, options.learn))]);
      const learned = learning.end();
      live.probes.dropsByTracefs?.learn(learned.map((l) => l.address));
      process.stderr.write(learnedText(learned));
    }
    const timer = options.for === undefined ? undefined : setTimeout(end, options.for);
    await ended;
    clearTimeout(timer);
  } finally {
    const incidents = await session.stop();
    live.close();
    keeper?.close();
    const summary: Summary = { type: 'summary', incidents, loss: session.losses, cost: cost(session.eventsSeen) };
    await view.summary(summary);
    await output.flush();
    if (options.failOnIncident === true && incidents.some((i) => i.severity !== 'info')) process.exitCode = EXIT.incident;
    if (keeper?.failure() !== undefined) process.exitCode = EXIT.environment;
  }
  // children and sockets are closed; nothing may keep a finished run alive
  process.exit();
}

const failureText = ({ what, why, fix }: Unavailable, left: string): string => `whydrop: ${printable(what)}: ${why}; ${left}\n${fix === undefined ? '' : `  fix: ${fix}\n`}`;
