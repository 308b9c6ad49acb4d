import type { Question } from '../../model/question.ts';
import type { Maybe } from '../../model/unavailable.ts';
import type { Commands } from '../command.ts';
import type { Descriptors } from '../descriptors.ts';
import { withinNetns } from '../sys/netns.ts';

/** What the readers share. */
export interface Desk {
  readonly commands: Commands;
  readonly descriptors: Descriptors;
}

/** A question with its namespace found. */
export interface Task {
  readonly question: Question;
  readonly argument: string | undefined;
  /** What to open to get into the namespace; absent for whydrop's own, which needs no entering and so no privilege. */
  readonly netnsPath: string | undefined;
  readonly desk: Desk;
}

export type Body = Maybe<string | Uint8Array>;

/** Answers one topic. Never throws; what stands in the way is the answer. */
export type Reader = (task: Task) => Body | Promise<Body>;

/** Reads on this thread, inside the task's namespace. */
export function inside<T>(task: Task, work: () => T): Maybe<T> {
  return task.netnsPath === undefined ? work() : withinNetns(task.netnsPath, work);
}

/** The namespace of a task, for a command. */
export const where = (task: Task): { readonly netnsPath?: string } => (task.netnsPath === undefined ? {} : { netnsPath: task.netnsPath });

/** The listing of one program in the task's namespace. */
export function listing(task: Task, program: string, args: readonly string[], outputLimit?: number): Promise<Maybe<string>> {
  return task.desk.commands.output({ program, args, ...where(task), ...(outputLimit === undefined ? undefined : { outputLimit }) });
}

/** `wrong argument` as an answer. */
export function badArgument(task: Task, expected: string): Body {
  return { unavailable: 'failed', what: `answering ${task.question.topic} ${JSON.stringify(task.argument ?? '')}`, why: `expected ${expected}` };
}
