import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Incident, Victim } from '../model/incident.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { kinOf, type Kin } from './kin.ts';
import { openLive, type LiveOptions } from './live.ts';
import { cost, jsonLine, type Summary } from './stream.ts';
import { plainSummary } from './plain.ts';

export interface WhyOptions extends LiveOptions {
  readonly json?: boolean;
  readonly for?: number;
  readonly attach?: number;
}

/**
 * `whydrop why`: watches all namespaces that the program may enter, shows what befell it and its children, and ends
 * with it, with its exit status. The report goes to stderr: stdout is the program's own.
 */
export async function why(command: readonly string[], options: WhyOptions): Promise<void> {
  const attach = options.attach ?? options.pid[0];
  if (command.length === 0 && attach === undefined) throw new UsageError('why needs a command after -- or --pid N (whydrop why -- curl http://10.0.0.2/)');
  if (command.length > 0 && attach !== undefined) throw new UsageError('why takes a command or --pid, not both');

  let kin: Kin | undefined;
  const write = (text: string): void => void process.stderr.write(text);
  const live = await openLive(
    { ...options, pid: [], allNetns: true },
    {},
    (event) => {
      kin?.learn(event);
      // drops in softirq name whoever was interrupted: their owner is found by socket and flow, and judged at the end
      if (event.kind === 'call') return kin?.has(event.task.pid) ?? false;
      if (event.kind === 'drop' && !event.softirq) return kin?.has(event.task.pid) ?? false;
      return true;
    },
  );
  if (isUnavailable(live)) throw new EnvironmentError(`${live.what}: ${live.why}`, live.fix);
  live.session.run();

  const started = run(command, attach, options.for);
  kin = kinOf(started.pid, live.probes.snapshots);
  const status = await started.ended;
  kin.close();

  const all = await live.session.stop();
  const incidents = all.map((i) => ofKin(i, kin!)).filter((i) => i !== undefined);
  live.close();
  const summary: Summary = { type: 'summary', incidents, loss: live.session.losses, cost: cost(live.session.eventsSeen) };
  if (options.json === true) for (const line of [...incidents, summary]) write(jsonLine(line));
  else write(plainSummary(summary, process.stderr));
  process.exit(status);
}

/** Keeps an incident whose victims include the program; other programs' shares are left out. */
function ofKin(incident: Incident, kin: Kin): Incident | undefined {
  const victims = incident.victims.map((v): Victim => {
    const process = v.process ?? (v.flow === undefined ? undefined : kin.ownerOf(v.flow));
    return process === undefined ? v : { ...v, process };
  });
  const own = victims.filter((v) => v.process !== undefined && kin.has(v.process.pid));
  if (own.length === 0) return undefined;
  const count = own.length === victims.length ? incident.count : own.reduce((n, v) => n + v.count, 0);
  // one refused try is everyday business on a host; to whoever asks about this very program it is the answer
  const refused = own.some((v) => v.errno === 'ECONNREFUSED');
  return { ...incident, victims: own, count, severity: incident.severity === 'info' && refused ? 'warning' : incident.severity };
}

function run(command: readonly string[], attach: number | undefined, limit: number | undefined): { pid: number; ended: Promise<number> } {
  const timeUp = new Promise<number>((done) => limit !== undefined && setTimeout(() => done(0), limit));
  if (attach !== undefined) {
    if (!alive(attach)) throw new UsageError(`no process ${attach}`);
    const ended = new Promise<number>((done) => {
      const timer = setInterval(() => {
        if (alive(attach)) return;
        clearInterval(timer);
        done(0);
      }, 200);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done(0));
    });
    return { pid: attach, ended: Promise.race([ended, timeUp]) };
  }
  const [file, ...args] = command;
  const child = spawn(file ?? '', args, { stdio: 'inherit' });
  if (child.pid === undefined) {
    return { pid: 0, ended: new Promise((_, fail) => child.once('error', (error: NodeJS.ErrnoException) => fail(new UsageError(`running ${file}: ${error.code ?? error.message}`)))) };
  }
  // Ctrl-C goes to the program (it is in our process group); we end when it does
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const ended = new Promise<number>((done) => child.once('exit', (code, signal) => done(code ?? 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0)))));
  return { pid: child.pid, ended: Promise.race([ended, timeUp]) };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
