import { UsageError } from './exit.ts';

/** Hands texts to a URL, in order, one at a time. What cannot be delivered is kept for a while and then counted. */
export interface Webhook {
  send(body: string): void;
  /** Delivered, and given up. */
  readonly delivered: number;
  readonly lost: number;
  /** Why the last attempt did not work; undefined after one that did. */
  readonly trouble: string | undefined;
  /** Tries what is left once more, for `ms` at most. */
  close(ms: number): Promise<void>;
}

const MOST_WAITING = 256;
const TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** `authorization`: the value of that header. 408, 429 and 5xx are tried again with growing pauses; other refusals are final. */
export function createWebhook(url: string, authorization: string | undefined, onTrouble: (text: string) => void): Webhook {
  const target = checkedUrl(url);
  const waiting: string[] = [];
  const stop = new AbortController();
  let delivered = 0;
  let lost = 0;
  let trouble: string | undefined;
  let pause = FIRST_RETRY_MS;
  let timer: NodeJS.Timeout | undefined;
  let busy: Promise<void> | undefined;

  const attempt = async (body: string): Promise<'done' | 'again' | 'refused'> => {
    try {
      const response = await fetch(target, {
        method: 'POST', body, redirect: 'error', signal: AbortSignal.any([stop.signal, AbortSignal.timeout(TIMEOUT_MS)]),
        headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      });
      await response.body?.cancel();
      if (response.ok) return 'done';
      report(`HTTP ${response.status}`);
      return response.status === 408 || response.status === 429 || response.status >= 500 ? 'again' : 'refused';
    } catch (error) {
      const { cause, name, message } = error as Error & { cause?: { code?: string } };
      report(cause?.code ?? (name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s` : message));
      return 'again';
    }
  };
  const report = (why: string): void => {
    if (trouble !== why) onTrouble(`posting to ${target.origin}: ${why}`);
    trouble = why;
  };
  const work = async (): Promise<void> => {
    while (waiting.length > 0 && !stop.signal.aborted) {
      const result = await attempt(waiting[0]!);
      if (result === 'again') {
        if (!stop.signal.aborted) timer = setTimeout(start, pause);
        pause = Math.min(pause * 2, LAST_RETRY_MS);
        return;
      }
      waiting.shift();
      pause = FIRST_RETRY_MS;
      if (result === 'done') {
        delivered += 1;
        trouble = undefined;
      } else lost += 1;
    }
  };
  const start = (): void => {
    clearTimeout(timer);
    busy ??= work().finally(() => (busy = undefined));
  };

  return {
    send: (body) => {
      waiting.push(body);
      // the attempt under way is of the first: it stays
      if (waiting.length > MOST_WAITING) {
        waiting.splice(1, 1);
        lost += 1;
      }
      if (waiting.length === 1) start();
    },
    get delivered() {
      return delivered;
    },
    get lost() {
      return lost;
    },
    get trouble() {
      return trouble;
    },
    close: async (ms) => {
      const ending = setTimeout(() => stop.abort(), ms);
      start();
      await busy;
      stop.abort();
      clearTimeout(ending);
      clearTimeout(timer);
      lost += waiting.length;
    },
  };
}

function checkedUrl(url: string): URL {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (target === undefined || !/^https?:$/.test(target.protocol)) throw new UsageError(`--webhook: not an http or https URL: ${url}`);
  return target;
}
