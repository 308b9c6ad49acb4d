import { html } from '../../base/text.ts';
import { STYLE } from '../html/style.ts';
import type { Gate, WebRequest } from './gate.ts';
import type { CauseText, HostState, IncidentDetail, SourceState } from './protocol.ts';

/** What the pages show. Live and recordings alike are behind it. */
export interface World {
  state(source: string): SourceState | undefined;
  incident(source: string, id: string): IncidentDetail | undefined;
  host(source: string, netns?: number): Promise<HostState | undefined>;
  readonly causes: readonly CauseText[];
  /** Judges a recording, telling how far it is; in the end the id of the new source, or why it is none. `cancel` ends it. */
  addRecording(name: string, bytes: Uint8Array, progress: (share: number) => void, cancel: AbortSignal): Promise<Given>;
}

export type Given = { readonly id: string } | { readonly error: string };

export interface WebOptions {
  readonly gate: Gate;
  readonly world: World;
  /** Built files of the page by name: `app.js`, `app.css`, `index.html`. */
  readonly assets: ReadonlyMap<string, Uint8Array>;
  /** A browser came in. */
  readonly onLogin: () => void;
}

export type Reply =
  | { readonly kind: 'whole'; readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string | Uint8Array }
  /** Server-sent events of this source, until the browser goes. */
  | { readonly kind: 'events'; readonly headers: Readonly<Record<string, string>>; readonly source: string }
  /** JSON lines as they come: `{"share":0.5}`, last `{"id":…}` or `{"error":…}`. A client that goes cancels it. */
  | { readonly kind: 'job'; readonly headers: Readonly<Record<string, string>>; readonly run: (tell: (line: string) => void, cancel: AbortSignal) => Promise<void> };

/** A recording that is dropped onto the page may have this many bytes. */
export const MOST_UPLOAD = 64 << 20;

/** No script but ours, no request but to ourselves, in no frame. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
export const SAFE: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

const TYPES: Readonly<Record<string, string>> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', html: 'text/html; charset=utf-8', svg: 'image/svg+xml' };

/** One answer to one request. `body` is only read for what is admitted. */
export async function handle(request: WebRequest, body: (limit: number) => Promise<Uint8Array | undefined>, options: WebOptions): Promise<Reply> {
  const { gate, world, assets } = options;
  const { method, path, query } = request;
  const admission = gate.admit(request);
  if (admission.admit === false) return path === '/' ? note(admission.status, admission.text) : text(admission.status, admission.text);
  if (admission.admit === 'login') {
    options.onLogin();
    return { kind: 'whole', status: 303, headers: { ...SAFE, location: '/', 'set-cookie': admission.cookie }, body: '' };
  }
  const source = query.get('source') ?? 'live';
  if (method === 'POST') {
    if (path !== '/api/recordings') return text(404, 'not found');
    const bytes = await body(MOST_UPLOAD);
    if (bytes === undefined) return text(413, `larger than ${MOST_UPLOAD >> 20} MB, which is the most that a page may give: whydrop serve FILE takes it from the command line`);
    const name = (query.get('name') ?? 'recording').slice(0, 120);
    return {
      kind: 'job', headers: { ...SAFE, 'content-type': 'application/x-ndjson' },
      run: async (tell, cancel) => tell(jsonText(await world.addRecording(name, bytes, (share) => tell(jsonText({ share })), cancel))),
    };
  }
  if (method !== 'GET') return text(405, 'only GET and POST');
  switch (path) {
    case '/':
      return asset(assets, 'index.html');
    case '/style.css':
      return { kind: 'whole', status: 200, headers: { ...SAFE, 'content-type': TYPES['css']! }, body: STYLE };
    case '/app.js':
    case '/app.css':
    case '/icon.svg':
      return asset(assets, path.slice(1));
    case '/api/state':
      return json(world.state(source));
    case '/api/events':
      return { kind: 'events', headers: { ...SAFE, 'content-type': 'text/event-stream' }, source };
    case '/api/incident':
      return json(world.incident(source, query.get('id') ?? ''));
    case '/api/host':
      return json(await world.host(source, query.has('netns') ? Number(query.get('netns')) : undefined));
    case '/api/causes':
      return json(world.causes);
    default:
      return text(404, 'not found');
  }
}

function asset(assets: WebOptions['assets'], name: string): Reply {
  const body = assets.get(name);
  if (body === undefined) return text(404, `${name} was not built`);
  return { kind: 'whole', status: 200, headers: { ...SAFE, 'content-type': TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream' }, body };
}

const text = (status: number, body: string): Reply => ({ kind: 'whole', status, headers: { ...SAFE, 'content-type': 'text/plain; charset=utf-8' }, body: `${body}\n` });

/** For people who come without a key. */
function note(status: number, words: string): Reply {
  return { kind: 'whole', status, headers: { ...SAFE, 'content-type': TYPES['html']! }, body: `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>whydrop</title><main><h1>whydrop</h1><p>${html(words)}</p></main></html>` };
}

const json = (value: unknown): Reply => (value === undefined ? text(404, 'not known') : { kind: 'whole', status: 200, headers: { ...SAFE, 'content-type': 'application/json' }, body: jsonText(value) });

/** Bigints become text; maps are not used. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));
}
