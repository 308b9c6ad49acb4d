import assert from 'node:assert/strict';
import type { Cause } from '../src/model/cause.ts';
import type { Finding } from '../src/model/finding.ts';
import type { Symptom } from '../src/model/symptom.ts';
import type { Answered } from './fake-evidence.ts';
import { shellWords } from './shell-words.ts';

/*
 * Whoever owns a namespace names its interfaces. The same world with names that a shell would act upon must lead to the same
 * commands, word by word: the name is one word, or part of one, and never anything else.
 */

/** Valid for the kernel (dev_valid_name: no blank, slash, colon; 15 bytes), hostile to a shell. */
export const hostileName = (i: number): string => `e'$(a);"|&\`${i}`;

/** Commands that were compared so far. */
export let compared = 0;

type Judge = (answers: readonly Answered[], before: readonly Answered[], symptom: Symptom, netnsName: (name: string) => string) => Finding;

export function holdsWithHostileNames(cause: Cause, finding: Finding, answers: readonly Answered[], before: readonly Answered[], symptom: Symptom, judge: Judge): void {
  if (finding.outcome !== 'found') return;
  const commands = commandsOf(finding);
  if (commands.length === 0) return;
  const names = new Set<string>();
  for (const [q, body] of [...answers, ...before]) {
    if (q.topic !== 'link' || typeof body !== 'string') continue;
    for (const link of safeList(body)) if (typeof link['ifname'] === 'string' && link['ifname'] !== 'lo') names.add(link['ifname']);
  }
  const map = new Map([...names].sort((a, b) => b.length - a.length).map((name, i) => [name, hostileName(i)]));
  const pattern = new RegExp(`(?<![\\w-])(?:${[...map.keys(), 'net-\\w+'].map((n) => (n.startsWith('net-') ? n : n.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('|')})(?![\\w-])`, 'g');
  const rename = (word: string): string => word.replace(pattern, (name) => map.get(name) ?? netnsName(name));
  const netnsName = (name: string): string => `${name} $(b)'"`;
  const renamed = (rows: readonly Answered[]): readonly Answered[] => rows.map(([q, body]) => [
    { ...q, ...(q.argument === undefined ? {} : { argument: rename(q.argument) }) } as Answered[0],
    typeof body !== 'string' ? body : /^\s*[[{]/.test(body) ? JSON.stringify(deep(JSON.parse(body), (s) => map.get(s) ?? s)) : body.replace(pattern, (n) => map.get(n) ?? n),
  ]);
  const again = judge(renamed(answers), renamed(before), deep(symptom, (s) => map.get(s) ?? s) as Symptom, netnsName);
  if (again.outcome !== 'found') return; // a world that the renaming took apart
  const hostile = commandsOf(again);
  assert.equal(hostile.length, commands.length, `${cause.id}: other remedies with other names: ${hostile.join('\n')}\nfor\n${commands.join('\n')}`);
  compared += commands.length;
  for (const [i, command] of commands.entries()) assert.deepEqual(shellWords(hostile[i]!), shellWords(command).map((w) => (w.startsWith('op:') ? w : rename(w))), `${cause.id}: ${hostile[i]}`);
}

const commandsOf = (finding: Finding): readonly string[] => (finding.outcome === 'found' ? finding.remedies.flatMap((r) => [r.command, r.undo].filter((c) => c !== undefined)) : []);

const safeList = (body: string): readonly Record<string, unknown>[] => {
  const value: unknown = JSON.parse(body === '' ? '[]' : body);
  return Array.isArray(value) ? (value as Record<string, unknown>[]) : [];
};

function deep(value: unknown, each: (text: string) => string): unknown {
  if (typeof value === 'string') return each(value);
  if (Array.isArray(value)) return value.map((v) => deep(v, each));
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, deep(v, each)]));
}
