import { renderSummary } from '../views/cli/index.ts';
import { analyse } from './analyze/judge.ts';
import { kindOf, readEvidence } from './analyze/read.ts';
import { factsText, recognisedRows, recognisedText } from './analyze/text.ts';
import { EXIT, UsageError } from './exit.ts';
import { look } from './plain.ts';
import { cost, createOutput, jsonLine, type Summary } from './stream.ts';

export interface AnalyzeOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly failOnIncident?: boolean;
}

/** `whydrop analyze PATH…`: a verdict from text that others collected, without privileges. */
export async function analyze(paths: readonly string[], options: AnalyzeOptions): Promise<void> {
  const [path = ''] = paths;
  if (paths.length === 1 && kindOf(path) === 'recording') {
    const { replayCommand } = await import('./replay-command.ts');
    return replayCommand(path, { ...options, pid: [], protocol: [], port: [], address: [], cause: [] });
  }
  const { files, unreadable } = readEvidence(paths);
  const rows = recognisedRows(files);
  if (rows.every((r) => r.formats.length === 0)) throw new UsageError(`nothing in ${paths.join(' ')} was recognised as evidence (logs, ftrace text, retis, pwru, dropwatch and tcpdrop output, counters, conntrack listings and events, rules, dmesg)`);
  const { incidents, diagrams, losses, eventsSeen, reconstruction } = analyse(files);
  const { facts, host } = reconstruction;
  let end!: () => void;
  void new Promise<void>((done) => (end = done));
  const output = createOutput(end);
  const summary: Summary = { type: 'summary', incidents, loss: losses, cost: cost(eventsSeen) };
  if (options.json === true) {
    output.write(incidents.map(jsonLine).join(''));
    output.write(jsonLine({ type: 'recognised', files: rows, unreadable, kernel: facts.kernel, clocks: facts.clocks, joined: facts.joined, notes: facts.notes, counters: facts.counters.map((c) => ({ ...c, netns: { inode: c.netns, name: host.netnsNames.get(c.netns) } })), missing: facts.missing }));
    output.write(jsonLine(summary));
  } else {
    output.write(`${recognisedText(rows, unreadable)}\n`);
    output.write(`${renderSummary({ ...summary, diagrams }, { ...look(process.stdout, options.plain), now: Date.now() })}\n`);
    output.write(factsText(facts, (inode) => [...host.netnsNames].find(([n]) => Number(n) === inode)?.[1] ?? ''));
  }
  await output.flush();
  if (options.failOnIncident === true && incidents.some((i) => i.severity !== 'info')) process.exitCode = EXIT.incident;
}
