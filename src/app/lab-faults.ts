import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fault of the lab: lab/faults/CAUSE/fault.sh, as its header describes it. */
export interface Fault {
  readonly cause: string;
  readonly title: string;
  readonly story: string;
  /** Letter of the namespace to watch. */
  readonly watch: string;
  readonly needs: readonly string[];
  /** `program`: the remedy lies in a program's code or configuration, no command can stop the loss. */
  readonly remedy: 'command' | 'program';
  /** Why it cannot be made on demand anywhere: it has no script. */
  readonly impossible?: string;
}

export type Step = 'possible' | 'setup' | 'traffic' | 'works' | 'innocent_setup' | 'innocent' | 'teardown';

export interface StepResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Namespaces and scratch folder of one run of one fault. */
export interface LabPlace {
  readonly id: string;
  readonly folder: string;
}

/** Exit status of a step that this kernel, or this machine, cannot do. */
export const NOT_HERE = 77;
const STEP_MS = 60_000;

/** lab/ lies beside dist/ in the package, and two folders up in a checkout. */
export function labFolder(from: string = import.meta.dirname): string | undefined {
  return ['../lab', '../../lab'].map((up) => join(from, up)).find((folder) => existsSync(join(folder, 'lib.sh')));
}

export function readFaults(folder: string): readonly Fault[] {
  return readdirSync(join(folder, 'faults'))
    .filter((cause) => existsSync(join(folder, 'faults', cause, 'fault.sh')))
    .sort()
    .map((cause) => {
      const text = readFileSync(join(folder, 'faults', cause, 'fault.sh'), 'utf8');
      const field = (name: string): string => new RegExp(`^# ${name}: *(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
      const impossible = field('impossible');
      return {
        cause, title: field('title'), story: field('story'), watch: field('watch') || 'a',
        needs: field('needs').split(/\s+/).filter((w) => w !== ''),
        remedy: field('remedy') === 'program' ? ('program' as const) : ('command' as const),
        ...(impossible === '' ? {} : { impossible }),
      };
    });
}

/** A place of its own for a run; `prefix` begins the names of its namespaces. */
export const labPlace = (prefix: string): LabPlace => ({ id: prefix, folder: join(tmpdir(), `whydrop-${prefix}`) });

/** `detached`: Ctrl-C at the terminal does not reach it. */
export function startStep(folder: string, cause: string, step: Step, place: LabPlace, detached = false): { readonly child: ChildProcess; readonly ended: Promise<StepResult> } {
  const child = spawn('bash', [join(folder, 'step'), cause, step], {
    env: { ...process.env, LAB_ID: place.id, LAB_DIR: place.folder, NODE: process.execPath },
    stdio: ['ignore', 'pipe', 'pipe'], timeout: STEP_MS, detached,
  });
  let stdout = '', stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<StepResult>((done) => {
    child.once('error', (error) => done({ status: 127, stdout, stderr: error.message }));
    child.once('exit', (code) => setTimeout(() => done({ status: code ?? 130, stdout, stderr }), 20));
  });
  return { child, ended };
}

export const runStep = (folder: string, cause: string, step: Step, place: LabPlace, detached = false): Promise<StepResult> => startStep(folder, cause, step, place, detached).ended;

/** Why a fault cannot be made here, or undefined: found by trying what it needs. */
export async function notPossible(folder: string, fault: Fault, place: LabPlace): Promise<string | undefined> {
  if (fault.impossible !== undefined) return fault.impossible;
  if (process.getuid?.() !== 0) return 'needs root';
  const { status, stderr } = await runStep(folder, fault.cause, 'possible', place);
  return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) || 'the trial ended without a word');
}
