/** Exit codes of the contract. */
export const EXIT = { done: 0, incident: 1, usage: 2, environment: 3, bug: 4 } as const;

/** A wrong command line: one line that names what is wrong and the nearest right one. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The environment does not allow it: the fact, and what to do. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
  readonly fix: string | undefined;

  constructor(fact: string, fix?: string) {
    super(fact);
    this.fix = fix;
  }
}
