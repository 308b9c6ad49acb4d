/**
 * The one door to libc. Every system call that Node does not have goes through here, so that another foreign
 * function interface could replace this file alone.
 *
 * All calls but {@link pollLater} are synchronous and on the calling thread: setns(2) is per thread, and libuv's pool must
 * not be used between entering and leaving a namespace. Results are -errno on failure, like the kernel's own.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load(null);

const c = {
  syscall6: libc.func('long syscall(long nr, int64_t a, void *b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)'),
  setns: libc.func('int setns(int fd, int nstype)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ uint32_t *length)'),
  getsockname: libc.func('int getsockname(int fd, void *address, _Inout_ uint32_t *length)'),
  send: libc.func('intptr_t send(int fd, const void *bytes, size_t length, int flags)'),
  recv: libc.func('intptr_t recv(int fd, void *bytes, size_t length, int flags)'),
  poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
  eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, uint64_t argument)'),
  mmap: libc.func('void *mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)'),
  munmap: libc.func('int munmap(void *address, size_t length)'),
  mount: libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)'),
  syscallText: libc.func('syscall', 'long', ['long', 'str', 'uint64_t', 'uint64_t', 'uint64_t', 'uint64_t', 'uint64_t']),
  memcpy: libc.func('uintptr_t memcpy(void *to, const void *from, size_t length)'),
  madvise: libc.func('int madvise(uint64_t address, size_t length, int advice)'),
  malloc_trim: libc.func('int malloc_trim(size_t pad)'),
  umount2: libc.func('int umount2(const char *target, int flags)'),
} as const;

const orErrno = (result: number): number => (result < 0 ? -koffi.errno() : result);

export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVBUFFORCE = 33;
export const MSG_DONTWAIT = 0x40;
export const CLONE_NEWNET = 0x40000000;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const EPERM = 1, ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13, EBUSY = 16, EINVAL = 22, ENOSYS = 38, ENOBUFS = 105, EOPNOTSUPP = 95;

/** Name of an errno, as in a message: `EACCES`. */
export function errnoName(errno: number): string {
  if (errnoNames.size === 0) for (const [name, number] of Object.entries(koffi.os.errno)) if (!errnoNames.has(number)) errnoNames.set(number, name);
  return errnoNames.get(errno) ?? `errno ${errno}`;
}
const errnoNames = new Map<number, string>();

/** syscall(2) with six arguments; `b` may be a Buffer. */
export function syscall(nr: number, a: number | bigint, b: Uint8Array | null, c_: number | bigint, d: number | bigint = 0, e: number | bigint = 0, f: number | bigint = 0): number {
  return orErrno(Number(c.syscall6(nr, a, b, c_, d, e, f)));
}

export const setns = (fd: number, type: number): number => orErrno(c.setns(fd, type));
export const socket = (domain: number, type: number, protocol: number): number => orErrno(c.socket(domain, type, protocol));
export const bind = (fd: number, address: Uint8Array): number => orErrno(c.bind(fd, address, address.length));
export const setsockopt = (fd: number, level: number, option: number, value: Uint8Array): number => orErrno(c.setsockopt(fd, level, option, value, value.length));
export const send = (fd: number, bytes: Uint8Array, flags = 0): number => orErrno(Number(c.send(fd, bytes, bytes.length, flags)));
export const recv = (fd: number, bytes: Uint8Array, flags = 0): number => orErrno(Number(c.recv(fd, bytes, bytes.length, flags)));
export const ioctl = (fd: number, request: number, argument: number | bigint): number => orErrno(c.ioctl(fd, request, argument));

export function getsockoptInt(fd: number, level: number, option: number): number {
  const value = Buffer.alloc(4);
  const result = orErrno(c.getsockopt(fd, level, option, value, [4]));
  return result < 0 ? result : value.readInt32LE(0);
}

/** The address that a socket is bound to: bytes of struct sockaddr, or -errno. */
export function getsockname(fd: number): Uint8Array | number {
  const bytes = Buffer.alloc(128);
  const length: [number] = [bytes.length];
  const result = orErrno(c.getsockname(fd, bytes, length));
  return result < 0 ? result : bytes.subarray(0, length[0]);
}

/** Whether any of the descriptors can be read within `timeout` ms: the number that can, or -errno. */
export function pollReadable(fds: readonly number[], timeout: number): number {
  const bytes = Buffer.alloc(fds.length * 8); // struct pollfd { int fd; short events; short revents; }
  fds.forEach((fd, i) => {
    bytes.writeInt32LE(fd, i * 8);
    bytes.writeInt16LE(1 /* POLLIN */, i * 8 + 4);
  });
  return orErrno(c.poll(bytes, fds.length, timeout));
}

/** eventfd(2): a descriptor to end a wait with, or -errno. */
export const eventfd = (): number => orErrno(c.eventfd(0, 0o2004000 /* EFD_CLOEXEC | EFD_NONBLOCK */));

/** poll(2) on a thread of libuv's pool: the number of descriptors that can be read; 0 also when it was interrupted. `fds` stays untouched until then. */
export const pollLater = (fds: Buffer, count: number, timeout: number): Promise<number> =>
  new Promise((done, failed) => c.poll.async(fds, count, timeout, (error: unknown, ready: number) => (error instanceof Error ? failed(error) : done(Math.max(0, ready)))));

/** A mapping shared with the kernel. `view` is the memory itself, no copy; it must not be touched after `unmap`. */
export interface Mapping {
  readonly view: ArrayBuffer;
  unmap(): void;
}

export function mmap(fd: number, length: number, protection: number, offset = 0): Mapping | number {
  const pointer: unknown = c.mmap(0, length, protection, MAP_SHARED, fd, offset);
  const address = koffi.address(pointer);
  if (address === 0xffffffffffffffffn) return -koffi.errno();
  const view: ArrayBuffer = koffi.view(pointer, length);
  return { view, unmap: () => void c.munmap(pointer, length) };
}

/** Memory that V8 never moves (small typed arrays may live in its heap), for {@link addressOf}. */
export const pinned = (length: number): Buffer => Buffer.from(new ArrayBuffer(length));

/** The address of {@link pinned} memory, for structures that hold pointers. The caller keeps the buffer alive. */
export const addressOf = (bytes: Uint8Array): bigint => BigInt(c.memcpy(bytes, bytes, 0));

export const MADV_DONTNEED = 4;
/** madvise(2) on pages by their address. */
export const madvise = (address: bigint, length: number, advice: number): number => orErrno(c.madvise(address, length, advice));

/** malloc_trim(3): gives back to the kernel what was freed. Some milliseconds after a burst, nothing otherwise. */
export const trimMemory = (): void => void c.malloc_trim(0);

export const mount = (source: string, target: string, type: string): number => orErrno(c.mount(source, target, type, 0, null));

/** System calls of the mount API (5.2), the same numbers on every architecture that Node runs on. */
const FSOPEN = 430, FSCONFIG = 431, FSMOUNT = 432;
/**
 * A file system that is mounted nowhere: an O_PATH descriptor of its root, which is all that holds it. -ENOSYS before 5.2.
 * fsopen(2), fsconfig(2), fsmount(2).
 */
export function detachedMount(type: string): number {
  const context = orErrno(c.syscallText(FSOPEN, type, 1 /* FSOPEN_CLOEXEC */, 0, 0, 0, 0));
  if (context < 0) return context;
  try {
    const made = orErrno(c.syscall6(FSCONFIG, context, 6 as never /* FSCONFIG_CMD_CREATE */, 0, 0, 0, 0));
    return made < 0 ? made : orErrno(c.syscall6(FSMOUNT, context, 1 as never /* FSMOUNT_CLOEXEC */, 0, 0, 0, 0));
  } finally {
    closeSync(context);
  }
}
export const umount = (target: string): number => orErrno(c.umount2(target, 2 /* MNT_DETACH */));
