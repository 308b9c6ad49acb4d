import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { printable } from '../base/text.ts';
import { duration } from './duration.ts';
import { EnvironmentError, EXIT, UsageError } from './exit.ts';

declare const WHYDROP_VERSION: string | undefined;

const version = typeof WHYDROP_VERSION === 'string' ? WHYDROP_VERSION : 'dev';

const many = (value: string, before: readonly string[]): readonly string[] => [...before, value];
const milliseconds = (text: string): number => {
  try {
    return duration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
};
const size = (text: string): number => {
  const match = /^(\d+)([kmg]?)b?$/i.exec(text);
  const bytes = Number(match?.[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf(match?.[2]?.toLowerCase() ?? '');
  if (match === null || !(bytes >= 65_536)) throw new InvalidArgumentError('not a size (write 50M or 1G; at least 64k)');
  return bytes;
};
const count = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a number');
  return Number(text);
};
const times = (text: string): number => {
  if (!/^\d*\.?\d+$/.test(text) || !(Number(text) > 0)) throw new InvalidArgumentError('not a number above 0 (write 1, 10 or 0.5)');
  return Number(text);
};
const counts = (text: string, before: readonly number[]): readonly number[] => [...before, count(text)];

/** What to look at; the same for every command that watches. */
function watching(command: Command): Command {
  return filtering(
    command
      .option('--netns <name|path|pid>', 'watch this network namespace (may be repeated)', many, [])
      .option('--all-netns', 'watch every network namespace')
      .addOption(new Option('--probe <tier>', 'which drop probe to use').choices(['auto', 'bpf', 'tracefs', 'counters']).default('auto')),
  );
}

/** Where to answer HTTP; the same for every command that does. */
function serving(command: Command, what: string, address: string): Command {
  return command
    .option('--listen <address[:port]>', `${what}; beyond this machine only with --tls or --insecure`, address)
    .option('--tls <cert>', 'HTTPS with this certificate, a PEM file')
    .option('--tls-key <key>', 'its private key, where it is a file of its own')
    .option('--insecure', 'allow --listen beyond this machine without TLS');
}

/** What to show; the same live and from a recording. */
function filtering(command: Command): Command {
  return command
    .option('--pid <pid>', 'only packets and calls of this process', counts, [])
    .option('--protocol <name>', 'only this protocol: tcp, udp, icmp, icmp6, arp, … or its number', many, [])
    .option('--port <port>', 'only packets from or to this port', counts, [])
    .option('--address <ip>', 'only packets from or to this address', many, [])
    .option('--cause <id>', 'show only incidents of this cause (netfilter.rule-drop) or area (netfilter)', many, []);
}

function program(): Command {
  const whydrop = new Command('whydrop')
    .description('Why did this packet not arrive, who did it, and what do I change?')
    .version(version, '-V, --version')
    .showSuggestionAfterError(true)
    .showHelpAfterError(false)
    .enablePositionalOptions()
    .configureHelp({ sortSubcommands: false })
    .addHelpText('after', `
Examples:
  whydrop watch                          this network namespace, live
  whydrop watch --netns blue --for 30s   a named one, half a minute
  whydrop why -- curl -m 5 http://10.0.0.2:8080/
  whydrop explain "Operation not permitted"
  whydrop doctor                         what this kernel and user allow

Exit codes: 0 done, 1 --fail-on-incident and one was found, 2 usage, 3 the environment does not allow it, 4 our bug.`);

  watching(whydrop.command('watch'))
    .description('watch for lost packets and failed sends, and say why')
    .option('--for <time>', 'end after this time (10s, 2m)', milliseconds)
    .option('--json', 'one JSON object a line (see docs/json-schema)')
    .option('--plain', 'plain lines even on a terminal; no colour, nothing redrawn')
    .option('--fail-on-incident', 'exit 1 when an incident above info was found')
    .option('--learn <time>', 'first learn for this long which drops are everyday here, then leave those out', milliseconds)
    .option('--record <file>', 'also keep everything that was seen in this file')
    .action(async (options) => (await import('./watch.ts')).watch(options));

  watching(whydrop.command('why'))
    .description('run a program (or attach to one) and explain its failed sends and lost packets')
    .option('--attach <pid>', 'the same as --pid without a command', count)
    .option('--json', 'one JSON object a line on stderr')
    .option('--for <time>', 'end after this time', milliseconds)
    .argument('[command...]', 'after --: the program and its arguments')
    .passThroughOptions()
    .action(async (command: string[], options) => (await import('./why.ts')).why(command, options));

  serving(watching(whydrop.command('serve')).description('the live watch, and recordings, in a browser on this machine'), 'where to listen', '127.0.0.1')
    .option('--for <time>', 'end after this time', milliseconds)
    .argument('[file...]', 'recordings to look at')
    .action(async (files: string[], options) => (await import('./serve.ts')).serve(files, options));

  serving(watching(whydrop.command('agent')).description('the same for fleets: Prometheus metrics, and notices of incidents as JSON lines and to a webhook'), 'where /metrics answers', '127.0.0.1:9478')
    .option('--webhook <url>', 'also post each notice here; WHYDROP_WEBHOOK_AUTHORIZATION gives the Authorization header')
    .addOption(new Option('--severity <least>', 'tell of incidents from this severity on').choices(['info', 'warning', 'critical']).default('warning'))
    .option('--again <time>', 'of a loss that goes on, a notice this often', milliseconds, 3_600_000)
    .option('--for <time>', 'end after this time', milliseconds)
    .action(async (options) => (await import('./agent.ts')).agent(options));

  whydrop
    .command('doctor')
    .description('what this kernel and this user allow, and how to get the rest')
    .option('--json', 'as JSON')
    .action(async (options) => (await import('./doctor.ts')).doctor(options));

  whydrop
    .command('explain')
    .description('what a drop reason, kernel symbol, error message or cause means')
    .argument('<words...>')
    .option('--diagram', 'conntrack.insert-race: which kernels lose a packet, from a model of the race')
    .option('--json', 'as JSON')
    .action(async (words: string[], options) => (await import('./explain.ts')).explain(words.join(' '), options));

  watching(whydrop.command('record'))
    .description('keep what is seen, raw, in a file for replay')
    .requiredOption('-o, --output <file>', 'the recording')
    .option('--for <time>', 'end after this time', milliseconds)
    .option('--ring <time>', 'keep only the last minutes in memory; write when an incident forms or on SIGUSR1', milliseconds)
    .option('--max-size <bytes>', 'thin the oldest samples beyond this size (50M); counts stay whole', size)
    .option('--json', 'one JSON object a line')
    .option('--plain', 'plain lines even on a terminal')
    .option('--redact', 'replace addresses, names and payload in the file when it ends')
    .action(async (options) => (await import('./record.ts')).record(options));

  filtering(whydrop.command('replay'))
    .description('judge a recording again: the same verdicts on any machine, without privileges')
    .argument('<file>')
    .option('--json', 'one JSON object a line')
    .option('--plain', 'no colour')
    .option('--speed <times>', 'as it happened, this many times as fast', times)
    .option('--from <time>', 'leave out what came before this time into the recording', milliseconds)
    .option('--to <time>', 'leave out what came after', milliseconds)
    .option('--fail-on-incident', 'exit 1 when an incident above info was found')
    .action(async (file: string, options) => (await import('./replay-command.ts')).replayCommand(file, options));

  filtering(whydrop.command('report'))
    .description('one page of HTML about a recording: no script, no request, to hand on')
    .argument('<file>', 'a recording')
    .requiredOption('-o, --output <file>', 'the page')
    .option('--redact', 'replace addresses, names and payload first')
    .action(async (file: string, options) => (await import('./report.ts')).reportCommand(file, options));

  filtering(whydrop.command('export'))
    .description('a recording for other tools: Wireshark, Perfetto, spreadsheets, flame graphs')
    .argument('<file>', 'a recording')
    .addOption(new Option('--to <format>', 'pcapng: the dropped packets; perfetto: Chrome trace JSON; folded: stacks').choices(['pcapng', 'perfetto', 'json', 'csv', 'folded']).makeOptionMandatory())
    .option('-o, --output <file>', 'where to; without it to stdout')
    .option('--redact', 'replace addresses, names and payload first')
    .action(async (file: string, options) => (await import('./export.ts')).exportCommand(file, options));

  const table = (command: Command): Command =>
    filtering(command)
      .addOption(new Option('--to <format>', 'how to write the answer').choices(['text', 'csv', 'json', 'parquet']).default('text'))
      .option('-o, --output <file>', 'where to; without it to stdout');
  table(whydrop.command('stats'))
    .description('how many drops and failed calls the kernel counted, grouped')
    .argument('<file>', 'a recording')
    .option('--by <columns>', 'cause, reason, symbol, interface, netns, process, source, destination_port, second, …', 'cause')
    .action(async (file: string, options) => (await import('./stats.ts')).statsCommand(file, options));

  table(whydrop.command('query'))
    .description('ask a recording in SQL: the tables counted, events and incidents (docs/exports.md)')
    .argument('<file>', 'a recording')
    .argument('<sql>', 'SELECT … FROM counted …')
    .action(async (file: string, sql: string, options) => (await import('./query.ts')).queryCommand(file, sql, options));

  whydrop
    .command('redact')
    .description('a recording without addresses, names and payload, to hand on; the verdicts stay')
    .argument('<file>', 'a recording')
    .requiredOption('-o, --output <file>', 'the new recording')
    .action(async (file: string, options) => (await import('./redact.ts')).redactCommand(file, options));

  whydrop
    .command('merge')
    .description('recordings of several hosts on one time line')
    .argument('<file...>', 'two recordings or more; the first gives the clock')
    .requiredOption('-o, --output <file>', 'the joint recording')
    .action(async (files: string[], options) => (await import('./merge.ts')).mergeCommand(files, options));

  whydrop
    .command('analyze')
    .description('a verdict from what others collected: logs, ftrace text, trace.dat, output of perf, retis, pwru, dropwatch and tcpdrop, counters, conntrack, rules, dmesg')
    .argument('<path...>', 'files and folders; formats are recognised by content, gzip too')
    .option('--json', 'one JSON object a line')
    .option('--plain', 'no colour')
    .option('--fail-on-incident', 'exit 1 when an incident above info was found')
    .action(async (paths: string[], options) => (await import('./analyze.ts')).analyze(paths, options));

  const lab = whydrop.command('lab').description('real faults in throw-away namespaces, each with its cause: to see, to learn, to test');
  lab
    .command('list')
    .description('the faults, and which of them this kernel can make')
    .option('--json', 'one JSON object a line')
    .action(async (options) => (await import('./lab.ts')).labList(options));
  lab
    .command('run')
    .description('make a fault, watch it, say the verdict; then everything is removed again')
    .argument('<cause>', 'netfilter.rule-drop, …: see lab list')
    .option('--watch', 'open the live screen; the traffic goes on until you leave it, then --fix has its turn')
    .option('--fix', 'run the first remedy (in the lab only) and try again')
    .option('--innocent', 'the look-alike that loses nothing, instead of the fault')
    .option('--keep', 'leave the namespaces for a look around')
    .option('--json', 'one JSON object a line')
    .action(async (cause: string, options) => (await import('./lab.ts')).labRun(cause, options));

  whydrop
    .command('completion')
    .description('print shell completions (bash, zsh, fish) or the man page (man)')
    .argument('<shell>', 'bash, zsh, fish or man')
    .action(async (shell: string) => {
      const { completion, manPage } = await import('./completions.ts');
      process.stdout.write(shell === 'man' ? manPage(whydrop, version) : completion(whydrop, shell));
    });

  return whydrop;
}

/** `--netns --for 10s`: the name was forgotten, and is not `--for`. */
function noSwallowing(command: Command): void {
  const names = new Set(command.options.flatMap((o) => [o.long, o.short]));
  for (const option of command.options) {
    if (!option.required) continue;
    command.on(`option:${option.name()}`, (value: string) => {
      if (names.has(value.split('=', 1)[0])) command.error(`whydrop: ${option.flags}: a value is missing before ${value} (if it is meant: ${option.long}=${value})`, { exitCode: EXIT.usage });
    });
  }
}

/** Commander writes its own messages; ours are one line on stderr. */
async function main(): Promise<void> {
  const whydrop = program();
  const overrideAll = (command: Command): void => {
    command.exitOverride();
    command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'whydrop: ').replace(/\n(\(Did you mean)/, ' $1')) });
    noSwallowing(command);
    command.commands.forEach(overrideAll);
  };
  overrideAll(whydrop);
  if (process.argv.length <= 2) {
    const { firstRun } = await import('./first-run.ts');
    await firstRun();
    return;
  }
  try {
    await whydrop.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof UsageError) {
    process.stderr.write(`whydrop: ${printable(error.message)}\n`);
    return EXIT.usage;
  }
  if (error instanceof EnvironmentError) {
    process.stderr.write(`whydrop: ${printable(error.message)}\n${error.fix === undefined ? '' : `  fix: ${printable(error.fix)}\n`}`);
    return EXIT.environment;
  }
  process.stderr.write(`whydrop: this is a bug of ours, please report it\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.bug;
}

await main();
