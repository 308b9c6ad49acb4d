/** Our own bugs crash loudly (exit code 4). Input and environment never come through here. */
export class Bug extends Error {
  override readonly name = 'Bug';
}

export function assert(condition: unknown, fact: string): asserts condition {
  if (!condition) throw new Bug(fact);
}

/** The end of an exhaustive switch: the compiler proves that it is never reached. */
export function assertNever(value: never, what: string): never {
  throw new Bug(`${what}: ${JSON.stringify(value)}`);
}
