/**
 * Absence is a value. Whatever could not be read travels as a fact with a stable code, what was tried, why it did
 * not work and what would help; whoever needed it says "cannot tell", never "no".
 */
export type UnavailableCode =
  | 'pending' //         asked, not yet answered: judge again when the answer is here
  | 'permission' //      EACCES, EPERM: a capability or root is missing
  | 'unsupported' //     this kernel does not have it
  | 'missing-program' // a child command (nft, ip, …) is not installed
  | 'missing' //         the object is not there (any more): a process that ended, an interface that went
  | 'timeout' //         the child command or the kernel did not answer in time
  | 'too-large' //       the output limit was reached
  | 'malformed' //       it answered something that could not be decoded
  | 'failed'; //         it answered with an error of its own

export interface Unavailable {
  readonly unavailable: UnavailableCode;
  /** What was tried: `reading /proc/net/stat/nf_conntrack`, `running nft -j list ruleset`. */
  readonly what: string;
  /** The bare fact: `EACCES`, `not found in PATH`. */
  readonly why: string;
  /** What the user can do about it, where there is something. */
  readonly fix?: string;
}

/** A value that may be absent; test with {@link isUnavailable}. T must be an object, a string or a number. */
export type Maybe<T> = T | Unavailable;

export function isUnavailable(value: unknown): value is Unavailable {
  return typeof value === 'object' && value !== null && 'unavailable' in value;
}

/** `running nft -j list ruleset: not found in PATH` */
export function unavailableText(u: Unavailable): string {
  return `${u.what}: ${u.why}`;
}
