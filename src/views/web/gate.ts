import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A request as the handler sees it: nothing of node:http. Header names are in lower case. */
export interface WebRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export type Admission =
  | { readonly admit: true }
  /** The one-time link was used: set the cookie and go on to the page. */
  | { readonly admit: 'login'; readonly cookie: string }
  | { readonly admit: false; readonly status: 401 | 403 | 421; readonly text: string };

export interface GateOptions {
  /** Values of Host that are ours: `127.0.0.1:8474`. Others come from a name that somebody points here (DNS rebinding). */
  readonly hosts: readonly string[];
  readonly secure: boolean;
  readonly cookieName: string;
}

/** Who may ask. A link lets one browser in, once; it then shows a cookie. */
export interface Gate {
  /** A new one-time token; earlier unused ones stop working. */
  token(): string;
  admit(request: WebRequest): Admission;
}

/** Browsers let in at the same time; the first ones are let go. */
const SESSIONS = 16;

export function createGate(options: GateOptions): Gate {
  let waiting: string | undefined;
  const sessions: string[] = [];
  const origins = options.hosts.map((h) => `${options.secure ? 'https' : 'http'}://${h}`);
  const fresh = (): string => randomBytes(24).toString('base64url');

  return {
    token: () => (waiting = fresh()),
    admit: ({ method, path, query, headers }) => {
      const host = headers['host']?.toLowerCase();
      if (host === undefined || !options.hosts.includes(host)) return { admit: false, status: 421, text: 'This address is not the one that whydrop printed.' };
      const { origin } = headers;
      if (origin !== undefined ? !origins.includes(origin) : method !== 'GET' && method !== 'HEAD') return { admit: false, status: 403, text: 'The request comes from another page.' };
      const token = query.get('token');
      if (method === 'GET' && path === '/' && token !== null) {
        if (waiting === undefined || !same(token, waiting)) return { admit: false, status: 401, text: 'This link was used already, or is not right. whydrop prints a new one in its terminal each time one is used.' };
        waiting = undefined;
        const session = fresh();
        sessions.push(session);
        if (sessions.length > SESSIONS) sessions.shift();
        return { admit: 'login', cookie: `${options.cookieName}=${session}; HttpOnly; SameSite=Strict; Path=/${options.secure ? '; Secure' : ''}` };
      }
      // the page itself may be opened from anywhere, what it asks for only by itself
      const site = headers['sec-fetch-site'];
      if (path !== '/' && site !== undefined && site !== 'same-origin' && site !== 'none') return { admit: false, status: 403, text: 'The request comes from another page.' };
      const shown = cookie(headers['cookie'] ?? '', options.cookieName);
      if (shown === undefined || !sessions.some((s) => same(s, shown))) return { admit: false, status: 401, text: 'Open the link that whydrop printed in its terminal.' };
      return { admit: true };
    },
  };
}

function cookie(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const [key, value] = part.trim().split('=', 2);
    if (key === name && value !== undefined) return value;
  }
  return undefined;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));
