/**
 * A process as /proc tells of it (proc(5)): the answer to `process`, and one element of the answer to `processes`, as
 * JSON. Texts are as the kernel gives them, escapes and all: whoever shows them escapes them.
 */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  /** Arguments joined by blanks, at most 4,096 characters; empty for kernel threads and zombies. */
  readonly cmdline: string;
  /** The program file; absent where it may not be read, and for kernel threads. */
  readonly exe?: string;
  /** R running, S sleeping, D waiting for a device, T stopped by a signal, t stopped by a debugger, Z zombie, I idle. */
  readonly state: string;
  /** Effective user id. */
  readonly uid: number;
  /** Clock ticks since boot: with the pid it names one process for ever. */
  readonly startTicks: number;
  /** Path in the cgroup v2 hierarchy where there is one, else of the systemd one: `/system.slice/nginx.service`. */
  readonly cgroup?: string;
  /** systemd unit, read from the cgroup: `nginx.service`. */
  readonly unit?: string;
  /** Container id (first 12 characters) or name, read from the cgroup: `docker 3f2a91c04d11`. */
  readonly container?: string;
  /** The names of CapEff (capabilities(7)): `CAP_NET_RAW`; `CAP_41` for numbers without a name here. */
  readonly capabilities: readonly string[];
  /** Seccomp mode: 0 none, 1 strict, 2 filter. */
  readonly seccomp: number;
  readonly noNewPrivs: boolean;
  /** Inode of its network namespace; absent where it may not be read. */
  readonly netns?: number;
}

/** The answer to `socket-owner`, as JSON. */
export interface SocketOwner {
  readonly inode: number;
  /** Ascending; empty when no process holds the socket any more. */
  readonly pids: readonly number[];
}

/** One element of the answer to `log-tail`, as JSON: a log file that a process has open for writing. */
export interface LogTail {
  readonly path: string;
  /** The last 32 KiB at most, from the first whole line on. */
  readonly text: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Last change, seconds since 1970. */
  readonly mtime: number;
}

/** One element of the answer to `netns-names`, as JSON. */
export interface NetnsEntry {
  readonly inode: number;
  readonly name?: string;
  /** One process that lives in it, the lowest pid. */
  readonly pid?: number;
}
