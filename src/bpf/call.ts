/**
 * The call probe: a program on the raw tracepoint sys_exit. A failed call on a socket is described within a budget per
 * (process, call, errno) and CPU; what goes well costs two instructions. Arguments come from the registers that the
 * kernel saved (struct pt_regs), the socket from the descriptor.
 */
import type { Btf } from '../formats/btf.ts';
import { assembler, FP, HELPER, R0, R1, R2, R3, R6, R7, R8, R9, type Program } from './assembler.ts';
import { budget, clockOf, copyField, counter, field, finished, follow, netInode, NET_OF_SOCK, offsetsOf, reserve, socket, submit, taskNetns, watchedNetns, who, type Access } from './blocks.ts';
import { CALL, kindWord, RECORD_KIND } from './layout.ts';
import { ERRNO } from '../base/errno.ts';

/** Where an architecture keeps the system call number and its arguments in struct pt_regs. */
interface Registers {
  readonly nr: string;
  readonly args: readonly string[];
}

const REGISTERS: Readonly<Record<string, Registers>> = {
  x64: { nr: 'orig_ax', args: ['di', 'si', 'dx', 'r10', 'r8', 'r9'] },
  arm64: { nr: 'syscallno', args: ['regs', 'regs', 'regs', 'regs', 'regs', 'regs'] },
};

/** How a call names its socket and its destination. */
export interface WatchedCall {
  readonly name: string;
  readonly nr: number;
  /** The first argument is a descriptor. */
  readonly fd: boolean;
  /** Where the destination is: the argument that points to a sockaddr, or to a msghdr that begins with one. */
  readonly address?: { readonly argument: number; readonly length: number } | { readonly msghdr: number };
  /** Only these errnos; undefined: every one that is not an everyday answer. */
  readonly errnos?: readonly number[];
}

/** Errors that a receiver is told of a packet it had sent. */
const RECEIVE_ERRNOS = [ERRNO.EPERM, ERRNO.EACCES, ERRNO.ECONNREFUSED, ERRNO.ECONNRESET, ERRNO.EHOSTUNREACH, ERRNO.ENETUNREACH, ERRNO.EMSGSIZE, ERRNO.EPROTO, ERRNO.ETIMEDOUT];
/** Of those the ones that files do not give. */
const READ_ERRNOS = [ERRNO.ECONNREFUSED, ERRNO.ECONNRESET, ERRNO.EHOSTUNREACH, ERRNO.ENETUNREACH, ERRNO.ETIMEDOUT];
/** Numbers of the calls that are watched (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h). */
export const CALLS: Readonly<Record<string, readonly WatchedCall[]>> = {
  x64: calls({ read: 0, write: 1, writev: 20, socket: 41, connect: 42, sendto: 44, recvfrom: 45, sendmsg: 46, recvmsg: 47, bind: 49, setsockopt: 54, sendmmsg: 307, recvmmsg: 299 }),
  arm64: calls({ read: 63, write: 64, writev: 66, socket: 198, connect: 203, sendto: 206, recvfrom: 207, sendmsg: 211, recvmsg: 212, bind: 200, setsockopt: 208, sendmmsg: 269, recvmmsg: 243 }),
};

function calls(nr: Readonly<Record<string, number>>): readonly WatchedCall[] {
  const refused = [ERRNO.EPERM, ERRNO.EACCES];
  const at = (name: string): number => nr[name] ?? -1;
  return [
    { name: 'sendto', nr: at('sendto'), fd: true, address: { argument: 4, length: 5 } },
    { name: 'sendmsg', nr: at('sendmsg'), fd: true, address: { msghdr: 1 } },
    { name: 'sendmmsg', nr: at('sendmmsg'), fd: true, address: { msghdr: 1 } },
    { name: 'write', nr: at('write'), fd: true },
    { name: 'writev', nr: at('writev'), fd: true },
    { name: 'connect', nr: at('connect'), fd: true, address: { argument: 1, length: 2 } },
    { name: 'bind', nr: at('bind'), fd: true, address: { argument: 1, length: 2 } },
    { name: 'socket', nr: at('socket'), fd: false, errnos: refused },
    { name: 'setsockopt', nr: at('setsockopt'), fd: true, errnos: [...refused, ERRNO.ENODEV, ERRNO.ENOBUFS, ERRNO.EADDRNOTAVAIL] },
    { name: 'recvfrom', nr: at('recvfrom'), fd: true, errnos: RECEIVE_ERRNOS },
    { name: 'recvmsg', nr: at('recvmsg'), fd: true, errnos: RECEIVE_ERRNOS },
    { name: 'recvmmsg', nr: at('recvmmsg'), fd: true, errnos: RECEIVE_ERRNOS },
    { name: 'read', nr: at('read'), fd: true, errnos: READ_ERRNOS },
  ];
}

/** Everyday answers: try again, in progress, not connected yet, bad descriptors and arguments of the program itself. */
const EVERYDAY = [ERRNO.EAGAIN, ERRNO.EINPROGRESS, ERRNO.EINTR, ERRNO.EALREADY, ERRNO.EISCONN, ERRNO.EBADF, ERRNO.EFAULT, ERRNO.ENOTSOCK, ERRNO.ENOENT, 512, 513, 514, 516]; // ERESTARTSYS and its kin

/** Slots of the map `lost`. */
export const CALL_LOST = { ring: 2, counters: 3 } as const;
const BURST = 32;
const REFILL_NS = 50_000_000;
const KEY = -64, VALUE = -112, NETNS = -120, ERRNO_SLOT = -24, NR_SLOT = -32, DESCRIPTORS = -40;

export interface CallOptions {
  readonly access: Access;
  /** Watch only the namespaces in the map `netns`. */
  readonly filter: boolean;
  /** ns of a jiffy, where it is known. */
  readonly tickNs?: number;
}

export function callProgram(btf: Btf, arch: string, options: CallOptions): Program | { readonly missing: string } {
  const registers = REGISTERS[arch];
  const watched = CALLS[arch];
  if (registers === undefined || watched === undefined) return { missing: `registers of ${arch}` };
  const offsets = offsetsOf(btf);
  const argument = (i: number): number => offsets.need('pt_regs', registers.args[i] ?? '') + (arch === 'arm64' ? 8 * i : 0);
  const clock = clockOf(options.tickNs);
  const a = assembler();
  a.load(8, R7, R1, 8); // ret
  a.jumpIf('sge', R7, 0, 'leave');
  a.jumpIf('slt', R7, -4095, 'leave');
  a.movReg(R6, R1);
  a.load(8, R9, R6, 0); // struct pt_regs
  a.alu('neg', R7, 0);
  field(a, options.access, arch === 'arm64' ? 4 : 8, R8, R9, offsets.need('pt_regs', registers.nr));
  // no local port is left for a datagram socket: inet_autobind says EAGAIN, as a full buffer does
  a.jumpIf('ne', R7, ERRNO.EAGAIN, 'everyday');
  for (const name of ['connect', 'sendto']) {
    const call = watched.find((c) => c.name === name);
    if (call === undefined || call.nr < 0) continue;
    const next = a.fresh('again.next');
    a.jumpIf('ne', R8, call.nr, next);
    if (name === 'sendto') {
      follow(a, R1, R9, argument(4));
      a.jumpIf('eq', R1, 0, 'leave'); // connected: TCP, mostly
    }
    a.jump('watched');
    a.label(next);
  }
  a.jump('leave');
  a.label('everyday');
  for (const errno of EVERYDAY) a.jumpIf('eq', R7, errno, 'leave');
  for (const call of watched) {
    if (call.nr < 0) continue;
    const next = a.fresh('call.next');
    a.jumpIf('ne', R8, call.nr, next);
    for (const errno of call.errnos ?? []) a.jumpIf('eq', R7, errno, 'watched');
    a.jump(call.errnos === undefined ? 'watched' : 'leave');
    a.label(next);
  }
  a.jump('leave');
  a.label('watched');
  a.store(8, FP, ERRNO_SLOT, R7);
  a.store(8, FP, NR_SLOT, R8);

  // the budget comes before all that costs: under flood of one failing call nothing else is done
  a.call(HELPER.getCurrentPidTgid);
  a.alu('rsh', R0, 32);
  a.load(8, R1, FP, NR_SLOT);
  a.alu('lsh', R1, 16);
  a.load(8, R2, FP, ERRNO_SLOT);
  a.aluReg('or', R1, R2);
  a.store(4, FP, KEY, R0);
  a.store(4, FP, KEY + 4, R1);
  counter(a, 'calls', KEY, VALUE, CALL_LOST.counters, 'leave');
  budget(a, clock, BURST, REFILL_NS, 'leave');

  a.load(8, R9, R6, 0);
  a.load(8, R8, FP, NR_SLOT);

  // the socket behind the descriptor; R7 = struct sock, 0 when there is none
  a.mov(R7, 0);
  const socketNr = watched.find((c) => !c.fd)?.nr ?? -1;
  a.jumpIf('eq', R8, socketNr, 'have-sock');
  follow(a, R1, R9, argument(0));
  a.alu('lsh', R1, 32);
  a.alu('rsh', R1, 32);
  a.store(8, FP, DESCRIPTORS, R1);
  a.call(HELPER.getCurrentTask);
  a.movReg(R9, R0);
  follow(a, R9, R9, offsets.need('task_struct', 'files'));
  follow(a, R9, R9, offsets.need('files_struct', 'fdt'));
  follow(a, R1, R9, offsets.need('fdtable', 'max_fds'), 4);
  a.load(8, R2, FP, DESCRIPTORS);
  a.jumpIfReg('ge', R2, R1, 'no-file');
  follow(a, R9, R9, offsets.need('fdtable', 'fd'));
  a.load(8, R1, FP, DESCRIPTORS);
  a.alu('lsh', R1, 3);
  a.aluReg('add', R9, R1);
  follow(a, R9, R9, 0);
  a.jumpIf('eq', R9, 0, 'no-file');
  // only sockets: the file's inode is of type S_IFSOCK
  a.movReg(R7, R9);
  follow(a, R9, R9, offsets.need('file', 'f_inode'));
  follow(a, R1, R9, offsets.need('inode', 'i_mode'), 2);
  a.alu('and', R1, 0o170000);
  a.jumpIf('ne', R1, 0o140000, 'leave');
  follow(a, R9, R7, offsets.need('file', 'private_data'));
  follow(a, R7, R9, offsets.need('socket', 'sk'));
  a.jumpIf('eq', R7, 0, 'leave');
  // Unix and netlink sockets carry no packets
  follow(a, R1, R7, offsets.need('sock', '__sk_common.skc_family'), 2);
  for (const family of [1 /* AF_UNIX */, 16 /* AF_NETLINK */, 38 /* AF_ALG */, 40 /* AF_VSOCK */]) a.jumpIf('eq', R1, family, 'leave');
  a.jump('have-sock');
  a.label('no-file');
  a.jump('leave');
  a.label('have-sock');
  // a socket that has its port and says EAGAIN is only to be tried again
  a.load(8, R1, FP, ERRNO_SLOT);
  a.jumpIf('ne', R1, ERRNO.EAGAIN, 'meant');
  a.jumpIf('eq', R7, 0, 'leave');
  follow(a, R1, R7, offsets.need('sock', '__sk_common.skc_num'), 2);
  a.jumpIf('ne', R1, 0, 'leave');
  a.label('meant');

  // namespace: of the socket, else of the task
  a.jumpIf('eq', R7, 0, 'no-sock');
  follow(a, R9, R7, offsets.need('sock', NET_OF_SOCK));
  netInode(a, offsets, R8);
  a.jump('have-netns');
  a.label('no-sock');
  taskNetns(a, offsets, R8);
  a.label('have-netns');
  a.store(4, FP, NETNS, R8);
  if (options.filter) watchedNetns(a, NETNS, 'leave');

  reserve(a, 'calls-ring', CALL.size, CALL_LOST.ring, 'leave');
  a.storeImm(4, R8, CALL.kind, kindWord(RECORD_KIND.call));
  who(a, CALL);
  a.load(8, R1, FP, ERRNO_SLOT);
  a.store(4, R8, CALL.errno, R1);
  a.load(8, R1, FP, NR_SLOT);
  a.store(4, R8, CALL.nr, R1);
  a.load(4, R1, FP, NETNS);
  a.store(4, R8, CALL.netns, R1);
  a.load(8, R9, R6, 0);
  for (let i = 0; i < 6; i++) {
    follow(a, R1, R9, argument(i));
    a.store(8, R8, CALL.args + 8 * i, R1);
  }
  destination();
  a.call(HELPER.getCurrentTask);
  a.movReg(R9, R0);
  copyField(a, offsets, CALL.seccomp, R9, 'task_struct', 'seccomp.mode', 4);
  a.movReg(R9, R7);
  socket(a, offsets, CALL.sk);
  submit(a);
  a.label('leave');
  a.mov(R0, 0);
  a.exit();
  return finished(a, offsets);

  /** Copies the sockaddr that the call was given, from the caller's memory. */
  function destination(): void {
    for (const call of watched ?? []) {
      if (call.address === undefined || call.nr < 0) continue;
      const next = a.fresh('address.next');
      a.load(4, R1, R8, CALL.nr);
      a.jumpIf('ne', R1, call.nr, next);
      if ('msghdr' in call.address) {
        // struct msghdr: void *msg_name at 0, int msg_namelen at 8
        readUser(CALL.address, 12, CALL.args + 8 * call.address.msghdr);
        a.load(8, R1, R8, CALL.address);
        a.store(8, FP, DESCRIPTORS, R1);
        a.load(4, R1, R8, CALL.address + 8);
        a.store(4, R8, CALL.addressLength, R1);
        a.storeImm(8, R8, CALL.address, 0);
        a.storeImm(8, R8, CALL.address + 8, 0);
        a.load(8, R3, FP, DESCRIPTORS);
      } else {
        a.load(8, R1, R8, CALL.args + 8 * call.address.length);
        a.store(4, R8, CALL.addressLength, R1);
        a.load(8, R3, R8, CALL.args + 8 * call.address.argument);
      }
      a.jumpIf('eq', R3, 0, 'addressed');
      a.movReg(R1, R8);
      a.alu('add', R1, CALL.address);
      a.mov(R2, 28);
      a.call(HELPER.probeReadUser);
      a.jumpIf('eq', R0, 0, 'addressed');
      // a sockaddr_in at the end of a page: what is sure to be there
      a.load(8, R3, R8, CALL.args + 8 * ('msghdr' in call.address ? call.address.msghdr : call.address.argument));
      if (!('msghdr' in call.address)) {
        a.movReg(R1, R8);
        a.alu('add', R1, CALL.address);
        a.mov(R2, 16);
        a.call(HELPER.probeReadUser);
      }
      a.jump('addressed');
      a.label(next);
    }
    a.label('addressed');
  }

  function readUser(at: number, size: number, pointerAt: number): void {
    a.movReg(R1, R8);
    a.alu('add', R1, at);
    a.mov(R2, size);
    a.load(8, R3, R8, pointerAt);
    a.call(HELPER.probeReadUser);
  }
}

