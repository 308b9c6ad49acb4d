import { closeSync, writeSync } from 'node:fs';
import { eventfd, pinned, pollLater } from './ffi.ts';

/** Waits for descriptors at no cost: poll(2) on a thread of libuv's pool. Whoever creates it closes it. */
export interface Ready {
  /** Until one of them can be read (true), `ms` have passed or {@link Ready.wake} was called. One wait at a time. */
  wait(fds: readonly number[], ms: number): Promise<boolean>;
  /** Ends the wait that is under way. */
  wake(): void;
  close(): void;
}

const POLLIN = 1;
const SIZE = 8; // struct pollfd { int fd; short events; short revents; }
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Undefined where there are no event descriptors. */
export function createReady(): Ready | undefined {
  const wakeFd = eventfd();
  if (wakeFd < 0) return undefined;
  let bytes = pinned(SIZE);
  let waiting = false;
  let closed = false;
  const closeNow = (): void => closeSync(wakeFd);
  return {
    wait: async (fds, ms) => {
      if (closed) return false;
      const all = [wakeFd, ...fds];
      if (bytes.length < all.length * SIZE) bytes = pinned(all.length * SIZE);
      all.forEach((fd, i) => {
        bytes.writeInt32LE(fd, i * SIZE);
        bytes.writeInt32LE(POLLIN, i * SIZE + 4);
      });
      waiting = true;
      const ready = await pollLater(bytes, all.length, ms);
      waiting = false;
      if (closed) closeNow();
      return ready > 0;
    },
    wake: () => void writeSync(wakeFd, ONE),
    close: () => {
      if (closed) return;
      closed = true;
      // the thread that waits reads the descriptor's number: it goes when the wait has ended
      if (waiting) writeSync(wakeFd, ONE);
      else closeNow();
    },
  };
}
