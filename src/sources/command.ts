import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { isUnavailable, type Maybe, type Unavailable } from '../model/unavailable.ts';
import { withinNetns } from './sys/netns.ts';

/** One program with fixed arguments; no shell sees them. */
export interface CommandRequest {
  /** Name without a path: `nft`. Looked up in the usual folders first, then in the absolute ones of PATH. */
  readonly program: string;
  readonly args: readonly string[];
  /** The namespace to run in, as a path that can be opened; absent: the caller's own. */
  readonly netnsPath?: string;
  /** ms; 3,000 unless told. */
  readonly timeLimit?: number;
  /** Bytes of standard output; 16 MiB unless told. */
  readonly outputLimit?: number;
}

/** A program that ran to its own end. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  /** The first 16 KiB. */
  readonly stderr: string;
}

/** Runs child programs, a few at a time. Whoever creates it closes it: no child outlives it. */
export interface Commands {
  /** Whatever the exit status. */
  run(request: CommandRequest): Promise<Maybe<CommandResult>>;
  /** Standard output of a program that succeeded; anything else is `Unavailable`. */
  output(request: CommandRequest): Promise<Maybe<string>>;
  /** Whether a process is, or lately was, one of ours: its packets and calls are not the user's. */
  owns(pid: number): boolean;
  close(): void;
}

const FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Debian's package for each program that is asked for. */
const PACKAGES: Readonly<Record<string, string>> = {
  nft: 'nftables', ip: 'iproute2', tc: 'iproute2', bridge: 'iproute2', ipset: 'ipset', ebtables: 'ebtables', arptables: 'arptables', iptables: 'iptables',
  'iptables-nft-save': 'iptables', 'ip6tables-nft-save': 'iptables', 'iptables-legacy-save': 'iptables', 'ip6tables-legacy-save': 'iptables', 'iptables-save': 'iptables', 'ip6tables-save': 'iptables',
  'ebtables-save': 'ebtables', 'ebtables-nft-save': 'iptables', 'ebtables-legacy-save': 'ebtables', 'arptables-save': 'arptables', 'arptables-nft-save': 'iptables', 'arptables-legacy-save': 'arptables',
};

const TIME_LIMIT = 3_000;
const OUTPUT_LIMIT = 16 * 1024 * 1024;
const STDERR_LIMIT = 16 * 1024;
const AT_ONCE = 6;
/** A program that hung is not asked again for this long, ms: what it holds up is not worth another wait. */
const HUNG_FOR = 30_000;
/** Pids are used again only after tens of thousands. */
const REMEMBERED_PIDS = 4_096;

/** Environment of the children: nothing of the user's own reaches them. */
const ENVIRONMENT = { LC_ALL: 'C', PATH: FOLDERS.join(':') };

/** Looks programs up; remembers those that it found. */
export function programFinder(path = process.env['PATH'] ?? ''): (program: string) => string | undefined {
  const folders = [...new Set([...FOLDERS, ...path.split(':').filter((folder) => folder.startsWith('/'))])];
  const known = new Map<string, string>();
  return (program) => {
    const before = known.get(program);
    if (before !== undefined) return before;
    if (program === '' || program.includes('/')) return undefined;
    for (const folder of folders) {
      const file = `${folder}/${program}`;
      try {
        accessSync(file, constants.X_OK);
      } catch {
        continue; // not in this folder, or not for us: the next one may have it
      }
      known.set(program, file);
      return file;
    }
    return undefined;
  };
}

export function createCommands(find: (program: string) => string | undefined = programFinder(), atOnce = AT_ONCE): Commands {
  const running = new Set<() => void>(); // each ends one child and settles its promise
  const waiting: (() => void)[] = [];
  const pids = new Set<number>();
  const hung = new Map<string, { readonly until: number; readonly result: Unavailable }>();
  let closed = false;

  const turn = (): Promise<void> => (running.size < atOnce && waiting.length === 0 ? Promise.resolve() : new Promise((go) => waiting.push(go)));

  const run = async (request: CommandRequest): Promise<Maybe<CommandResult>> => {
    const what = commandText(request);
    const file = find(request.program);
    if (file === undefined) return missing(request.program, what);
    const key = `${file}\0${request.netnsPath ?? ''}\0${request.args.join('\0')}`;
    const before = hung.get(key);
    if (before !== undefined && performance.now() < before.until) return before.result;
    while (running.size >= atOnce) await turn();
    if (closed) return { unavailable: 'failed', what, why: 'whydrop is ending' };
    const finished = await oneChild(file, request, what, running, pids);
    waiting.shift()?.();
    if (isUnavailable(finished) && finished.unavailable === 'timeout') hung.set(key, { until: performance.now() + HUNG_FOR, result: finished });
    return finished;
  };

  return {
    run,
    output: async (request) => {
      const result = await run(request);
      if (isUnavailable(result)) return result;
      return result.status === 0 ? result.stdout : refusal(commandText(request), result);
    },
    owns: (pid) => pids.has(pid),
    close: () => {
      closed = true;
      for (const end of [...running]) end();
      for (const go of waiting.splice(0)) go();
    },
  };
}

function oneChild(file: string, request: CommandRequest, what: string, running: Set<() => void>, pids: Set<number>): Promise<Maybe<CommandResult>> {
  return new Promise((settle) => {
    const child = start(file, request, what);
    if (isUnavailable(child)) return settle(child);
    if (pids.size >= REMEMBERED_PIDS) pids.clear();
    if (child.pid !== undefined) pids.add(child.pid);
    const out: Buffer[] = [], err: Buffer[] = [];
    let outBytes = 0, errBytes = 0;
    const timeLimit = request.timeLimit ?? TIME_LIMIT, outputLimit = request.outputLimit ?? OUTPUT_LIMIT;

    const done = (result: Maybe<CommandResult>): void => {
      if (!running.delete(ended)) return;
      clearTimeout(timer);
      if (isUnavailable(result)) end(child);
      settle(result);
    };
    const ended = (): void => done({ unavailable: 'failed', what, why: 'whydrop is ending' });
    const timer = setTimeout(() => done({ unavailable: 'timeout', what, why: `no end within ${timeLimit} ms` }), timeLimit);
    running.add(ended);

    child.stdout?.on('data', (chunk: Buffer) => {
      outBytes += chunk.length;
      if (outBytes > outputLimit) done({ unavailable: 'too-large', what, why: `more than ${outputLimit} bytes of output` });
      else out.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (errBytes < STDERR_LIMIT) err.push(chunk.subarray(0, STDERR_LIMIT - errBytes));
      errBytes += chunk.length;
    });
    child.on('error', (error) => done(startFailed(request.program, what, error)));
    child.on('close', (status, signal) => {
      if (status === null) done({ unavailable: 'failed', what, why: `ended by ${signal ?? 'a signal'}` });
      else done({ status, stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8') });
    });
  });
}

/** The fork happens on this thread before `spawn` returns, so the child is born in the namespace and stays there. */
function start(file: string, request: CommandRequest, what: string): ChildProcess | Unavailable {
  // detached: in a process group of its own, to be ended with all that it started, and out of reach of the terminal's ^C
  const go = (): ChildProcess => spawn(file, request.args, { cwd: '/', env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  try {
    return request.netnsPath === undefined ? go() : withinNetns(request.netnsPath, go);
  } catch (error) {
    return startFailed(request.program, what, error as NodeJS.ErrnoException);
  }
}

function end(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL'); // the group is the child's own: the pid is not reaped yet, so it cannot be another's
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') child.kill('SIGKILL');
  }
}

const commandText = (request: CommandRequest): string => `running ${[request.program, ...request.args].join(' ')}`;

function missing(program: string, what: string): Unavailable {
  const from = PACKAGES[program];
  return { unavailable: 'missing-program', what, why: 'not found in PATH', ...(from === undefined ? undefined : { fix: `apt-get install ${from}` }) };
}

function startFailed(program: string, what: string, error: NodeJS.ErrnoException): Unavailable {
  const why = error.code ?? error.message;
  if (why === 'ENOENT') return missing(program, what);
  return { unavailable: why === 'EACCES' || why === 'EPERM' ? 'permission' : 'failed', what, why };
}

/** What a program that ended with an error said. */
export function refusal(what: string, result: CommandResult): Unavailable {
  const line = result.stderr.split('\n').map((l) => l.trim()).find((l) => l !== '') ?? `exit status ${result.status}`;
  const denied = /operation not permitted|permission denied|must be root|are you root/i.test(result.stderr);
  const unsupported = /(?:operation|protocol) not supported|kernel support missing|not supported by (?:the )?kernel/i.test(result.stderr);
  if (unsupported && !denied) return { unavailable: 'unsupported', what, why: line };
  return denied ? { unavailable: 'permission', what, why: line, fix: 'run as root, or with CAP_NET_ADMIN' } : { unavailable: 'failed', what, why: line };
}
