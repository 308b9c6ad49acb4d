import type { Netns } from '../base/brand.ts';
import type { Answer, Evidence } from '../model/evidence.ts';
import type { Question, Topic } from '../model/question.ts';
import { isUnavailable, type Maybe } from '../model/unavailable.ts';

/**
 * A fact derived from one answer: asks, decodes once per answer, remembers. `decode` must be pure; `name` tells apart
 * the decoders that are put to one question, and is the same wherever the same decoder is.
 * When to use: for every evidence function that turns a listing into typed values.
 */
export function fact<T extends object>(
  evidence: Evidence,
  question: Question,
  name: string,
  decode: (body: string | Uint8Array) => Maybe<T>,
  age: 'fresh' | 'any' | 'before' = 'fresh',
): Maybe<T> {
  const answer = age === 'fresh' ? evidence.answer(question) : age === 'any' ? evidence.lastAnswer(question) : evidence.before(question);
  return decoded(evidence, question, answer, name, decode);
}

function decoded<T extends object>(evidence: Evidence, question: Question, answer: Maybe<Answer>, name: string, decode: (body: string | Uint8Array) => Maybe<T>): Maybe<T> {
  if (isUnavailable(answer)) return answer;
  const key = `${name}\u0000${question.topic}\u0000${question.netns ?? ''}\u0000${question.argument ?? ''}\u0000${answer.time}`;
  const known = evidence.memo.get(key);
  if (known !== undefined) return known as Maybe<T>;
  const value = decode(answer.body);
  evidence.memo.set(key, value, answer.body.length);
  return value;
}

/** The question about one namespace. */
export function ask(topic: Topic, netns: Netns, argument?: string): Question {
  return argument === undefined ? { topic, netns } : { topic, netns, argument };
}
