import type { Maybe } from '../../model/unavailable.ts';
import { EPERM, errnoName, syscall } from './ffi.ts';

/** Bytes of the newest part of the log that are read: some 2,500 records. */
const TAIL = 256 * 1024;
const SYSLOG_ACTION_READ_ALL = 3;
const SYSLOG: Readonly<Record<string, number>> = { x64: 103, arm64: 116, riscv64: 116, loong64: 116, ppc64: 103, s390x: 103 };

/**
 * The newest records of the kernel's log, syslog(2): lines `<LEVEL>[seconds.micros] message`. Reading takes nothing
 * away from other readers. The first line may be cut where the log is longer; it is left out then.
 */
export function readKernelLog(): Maybe<string> {
  const what = 'reading the kernel log';
  const nr = SYSLOG[process.arch];
  if (nr === undefined) return { unavailable: 'unsupported', what, why: `no syslog(2) known for ${process.arch}` };
  const bytes = Buffer.alloc(TAIL);
  const length = syscall(nr, SYSLOG_ACTION_READ_ALL, bytes, bytes.length);
  if (length < 0) {
    const why = errnoName(-length);
    return length === -EPERM ? { unavailable: 'permission', what, why, fix: 'run as root, or with CAP_SYSLOG, or: sysctl kernel.dmesg_restrict=0' } : { unavailable: 'failed', what, why };
  }
  const text = bytes.toString('utf8', 0, length);
  return text.startsWith('<') ? text : text.slice(text.indexOf('\n') + 1);
}
