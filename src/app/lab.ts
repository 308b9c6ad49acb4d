import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { printable } from '../base/text.ts';
import type { Incident } from '../model/incident.ts';
import { renderIncident, wrap } from '../views/cli/index.ts';
import { EnvironmentError, EXIT, UsageError } from './exit.ts';
import { labFolder, labPlace, notPossible, readFaults, runStep, startStep, type Fault, type LabPlace } from './lab-faults.ts';
import { look } from './plain.ts';
import { createOutput, jsonLine, type StreamLine } from './stream.ts';

export interface LabOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly fix?: boolean;
  readonly innocent?: boolean;
}

const ARMED_MS = 20_000;
/** Traffic that has just ended is still being judged. */
const SETTLE_MS = 1_200;
const TRIALS_AT_ONCE = 4;

function lab(): { readonly folder: string; readonly faults: readonly Fault[] } {
  const folder = labFolder();
  if (folder === undefined) throw new EnvironmentError('the lab is not there: no lab/lib.sh beside this program', 'install the whole package, or run from a checkout');
  return { folder, faults: readFaults(folder) };
}

/** `whydrop lab list` */
export async function labList(options: { readonly json?: boolean }): Promise<void> {
  const { folder, faults } = lab();
  const why = new Map<string, string | undefined>();
  const left = [...faults];
  await Promise.all(
    Array.from({ length: TRIALS_AT_ONCE }, async (_, i) => {
      for (let fault = left.shift(); fault !== undefined; fault = left.shift()) why.set(fault.cause, await notPossible(folder, fault, labPlace(`whylab${process.pid}t${i}`)));
    }),
  );
  const output = createOutput(() => undefined);
  if (options.json === true) output.write(faults.map((f) => jsonLine({ type: 'fault', cause: f.cause, title: f.title, story: f.story, needs: f.needs, possible: why.get(f.cause) === undefined, ...(why.get(f.cause) === undefined ? {} : { why: why.get(f.cause) }) })).join(''));
  else {
    const width = Math.max(...faults.map((f) => f.cause.length));
    // a line for each in a pipe, for grep; on a terminal no word is cut
    const room = process.stdout.isTTY ? look(process.stdout).width : Infinity;
    const beside = ' '.repeat(width + 2);
    for (const fault of faults) {
      const not = why.get(fault.cause);
      output.write(`${[...wrap(fault.title, room, `${fault.cause.padEnd(width)}  `, beside), ...(not === undefined ? [] : wrap(`not here: ${printable(not)}`, room, beside))].join('\n')}\n`);
    }
    const here = faults.filter((f) => why.get(f.cause) === undefined).length;
    output.write(`\n${here} of ${faults.length} faults can be made here. whydrop lab run CAUSE makes one in namespaces of its own.\n`);
  }
  await output.flush();
}

/** `whydrop lab run CAUSE`: makes the fault in throw-away namespaces, watches it, says what a user would be told. */
export async function labRun(cause: string, options: LabOptions): Promise<void> {
  const { folder, faults } = lab();
  const fault = faults.find((f) => f.cause === cause);
  if (fault === undefined) {
    const near = faults.find((f) => f.cause.endsWith(`.${cause}`)) ?? faults.find((f) => f.cause.includes(cause));
    throw new UsageError(`no fault ${cause} in the lab${near === undefined ? '' : `; did you mean ${near.cause}?`} (whydrop lab list)`);
  }
  const place = labPlace(`whylab${process.pid}`);
  const not = await notPossible(folder, fault, place);
  if (not !== undefined) throw new EnvironmentError(`${fault.cause} cannot be made here: ${not}`, fault.needs.length > 0 ? `it needs ${fault.needs.join(', ')}` : undefined);

  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  try {
    await run(folder, fault, place, options, stopped);
  } finally {
    const names = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout?.split('\n').map((l) => l.split(' ')[0] ?? '').filter((n) => n.startsWith(`${place.id}-`)) ?? [];
    if (options.keep === true && !stopped.signal.aborted) process.stderr.write(`kept: namespaces ${names.join(', ')}; to remove them: LAB_ID=${place.id} LAB_DIR=${place.folder} NODE=${process.execPath} ${folder}/step ${fault.cause} teardown\n`);
    else await runStep(folder, fault.cause, 'teardown', place, true);
  }
}

async function run(folder: string, fault: Fault, place: LabPlace, options: LabOptions, stop: AbortController): Promise<void> {
  const { signal } = stop;
  const json = options.json === true;
  const output = createOutput(() => stop.abort());
  let onScreen = options.watch === true;
  const say = (text: string): void => {
    if (!json && !onScreen) output.write(`${text}\n`);
  };
  const netns = `${place.id}-${fault.watch}`;
  say(`${fault.cause}: ${fault.title}\n${options.innocent === true ? 'This is its innocent look-alike: nothing above info may be reported.\n' : ''}${fault.story}\n`);
  const set = await runStep(folder, fault.cause, options.innocent === true ? 'innocent_setup' : 'setup', place);
  if (signal.aborted) return;
  if (set.status !== 0) throw new EnvironmentError(`setting up ${fault.cause}: ${set.stderr.trim().split('\n').at(-1) ?? `exit ${set.status}`}`, fault.needs.length > 0 ? `it needs ${fault.needs.join(', ')}` : undefined);

  const traffic = options.innocent === true ? 'innocent' : 'traffic';
  if (options.watch === true) {
    await screen(folder, fault, place, netns, traffic, signal);
    onScreen = false;
    if (signal.aborted) return;
    if (options.fix !== true || options.innocent === true) return say(`\nwhydrop lab run ${fault.cause} --watch --fix also runs the remedy afterwards and tries again.`);
    say('\nOnce more without the screen, then the remedy:');
  }
  say(`whydrop watch --netns ${netns}`);
  const watched = startWatch(netns, json ? (line) => output.write(`${line}\n`) : () => undefined);
  const abort = (): void => void watched.child.kill('SIGINT');
  signal.addEventListener('abort', abort);
  try {
    await watched.armed;
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  say('armed; now the traffic');
  const running = startStep(folder, fault.cause, traffic, place);
  signal.addEventListener('abort', () => running.child.kill());
  const made = await running.ended;
  say(`  ${printable(made.stdout.trim().split('\n').at(-1) ?? '')}\n`);
  if (!signal.aborted) await new Promise((done) => setTimeout(done, SETTLE_MS));
  watched.child.kill('SIGINT');
  const incidents = await watched.incidents;
  signal.removeEventListener('abort', abort);
  if (signal.aborted) return;

  const seen = incidents.filter((i) => i.severity !== 'info');
  for (const incident of seen) say(renderIncident(incident, { ...look(process.stdout), now: Date.now(), compact: options.watch === true }));
  if (seen.length === 0) say('Nothing was lost that should not be.');
  const top = seen[0];
  const command = top?.remedies.find((r) => r.command !== undefined)?.command;
  let works: boolean | undefined;
  if (options.fix === true && options.innocent !== true && command !== undefined) {
    say(`$ ${printable(command)}`);
    const applied = spawnSync('bash', ['-c', command], { encoding: 'utf8', timeout: 20_000 });
    if (applied.status !== 0) say(`  ${printable((applied.stderr || applied.error?.message) ?? '')}`);
    const again = await runStep(folder, fault.cause, 'works', place);
    works = again.status === 0;
    say(works ? `The loss is gone: ${printable(again.stdout.trim().split('\n').at(-1) ?? '')}` : `It still loses packets: ${printable((again.stdout || again.stderr).trim())}`);
  } else if (command !== undefined && options.innocent !== true) say(`The remedy, in these namespaces: --fix runs it and tries the traffic again.\n  ${printable(command)}`);
  if (json) output.write(jsonLine({ type: 'lab', cause: fault.cause, innocent: options.innocent === true, found: top?.cause.id, ...(command === undefined ? {} : { remedy: command }), ...(works === undefined ? {} : { works }) }));
  await output.flush();
  const right = options.innocent === true ? seen.length === 0 : top?.cause.id === fault.cause && works !== false;
  process.exitCode = right ? EXIT.done : EXIT.incident;
}

/** A watch as users run it: this program once more, as a child. */
function startWatch(netns: string, each: (line: string) => void): { readonly child: ChildProcess; readonly armed: Promise<void>; readonly incidents: Promise<readonly Incident[]> } {
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'watch', '--json', '--netns', netns], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let rest = '', errors = '';
  let final: readonly Incident[] = [];
  let isArmed!: () => void;
  let failed!: (error: Error) => void;
  const armed = new Promise<void>((done, fail) => {
    isArmed = done;
    failed = fail;
  });
  const timer = setTimeout(() => failed(new EnvironmentError(`whydrop watch was not armed within ${ARMED_MS / 1000} s`)), ARMED_MS);
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) {
      each(text);
      const line = JSON.parse(text) as StreamLine;
      if (line.type === 'armed') isArmed();
      if (line.type === 'summary') final = line.incidents;
    }
  });
  const incidents = new Promise<readonly Incident[]>((done) =>
    child.once('close', () => {
      clearTimeout(timer);
      failed(new EnvironmentError(`whydrop watch ended: ${errors.trim()}`));
      done(final);
    }),
  );
  void armed.then(() => clearTimeout(timer), () => undefined);
  return { child, armed, incidents };
}

/** The live screen, with the traffic again and again until the user leaves it. */
async function screen(folder: string, fault: Fault, place: LabPlace, netns: string, traffic: 'traffic' | 'innocent', signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'watch', '--netns', netns], { stdio: 'inherit' });
  let open = true;
  const closed = new Promise<void>((done) => child.once('exit', () => done(void (open = false))));
  signal.addEventListener('abort', () => child.kill('SIGINT'));
  while (open && !signal.aborted) {
    const running = startStep(folder, fault.cause, traffic, place, true);
    await Promise.race([running.ended, closed]);
    if (!open && running.child.pid !== undefined) {
      try {
        process.kill(-running.child.pid);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await Promise.race([new Promise((done) => setTimeout(done, 500)), closed]);
  }
  await closed;
}
