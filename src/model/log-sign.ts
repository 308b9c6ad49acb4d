/** What a line of a daemon's log tells of packets that were lost or refused. */
export interface LogSign {
  /**
   * `key-mismatch`: a tunnel could not verify or decrypt what came; `peer-rejected`: it came from an unexpected
   * address; `replay`: a number came twice; `call-failed`: a system call failed, see `errno`; `time-out`: no answer;
   * `dropped`: the daemon says that it dropped something.
   */
  readonly kind: 'key-mismatch' | 'peer-rejected' | 'replay' | 'call-failed' | 'time-out' | 'dropped';
  /** The program, where the line names it (syslog) or its wording is typical of one. */
  readonly program?: string;
  readonly pid?: number;
  /** Time stamp as the line has it, without a zone unless it has one. */
  readonly stamp?: string;
  /** The stamp read as if it were UTC, ms since 1970; `year` tells whether the line has one (syslog has not). */
  readonly time?: { readonly ms: number; readonly zone: boolean; readonly year: boolean };
  readonly errno?: string;
  /** The call or action that failed, in the daemon's word: `write`, `sendto`, `connect`. */
  readonly action?: string;
  /** Addresses with or without ports, in the order of the line. */
  readonly addresses: readonly string[];
  /** The line without stamp, host and program. */
  readonly message: string;
}
