import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printable } from '../base/text.ts';
import { causes } from '../causes/index.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { createGate, handle, jsonText, type CauseText, type Gate, type SourceState, type WebOptions, type World } from '../views/web/index.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { isLoopback, listenAddress, listener, listening, tlsFiles, type ListenOptions } from './listen.ts';
import { openLive, type Live, type LiveOptions } from './live.ts';
import { serveLive, type LiveSource } from './serve-live.ts';
import { judgeAside } from './judge-aside.ts';
import { servedRecording, type ServedSource } from './serve-recording.ts';
import { createStacks, type Stacks } from './stacks.ts';
import { createOutput } from './stream.ts';

export interface ServeOptions extends LiveOptions, ListenOptions {
  readonly for?: number;
}

/** Recordings that are kept; the oldest goes first. */
const RECORDINGS = 4;
/** Judged at the same time: each takes a thread and its memory. */
const MOST_JUDGED = 2;
const never = new AbortController().signal;
const EVENTS_MS = 1_000;
const MOST_STREAMS = 32;

/** `whydrop serve [FILE…]`: the live watch, and recordings, in a browser. */
export async function serve(files: readonly string[], options: ServeOptions): Promise<void> {
  const { address, port } = listenAddress(options);
  const tls = tlsFiles(options);
  const assets = builtAssets();
  let end!: () => void;
  const ended = new Promise<void>((done) => (end = done));
  const output = createOutput(end);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);

  const world = createWorld();
  for (const file of files) {
    const added = await world.addRecording(basename(file), read(file), () => undefined, never);
    if ('error' in added) throw new UsageError(added.error);
  }
  let gate: Gate | undefined;
  const link = (): string => `${origin}/?token=${gate!.token()}`;
  const web = (): WebOptions => ({ gate: gate!, world, assets, onLogin: () => output.write(`opened in a browser; for another one: ${link()}\n`) });
  const streams = new Set<{ readonly response: ServerResponse; readonly source: string }>();
  const server = listener(tls, (request, response) => void answer(request, response, web(), (source) => {
    if (streams.size >= MOST_STREAMS) return false;
    const stream = { response, source };
    streams.add(stream);
    response.on('close', () => streams.delete(stream));
    send(stream, world);
    return true;
  }));
  await listening(server, address, port);
  const bound = server.address() as AddressInfo;
  const shown = isIP(address) === 6 ? `[${address}]` : address;
  const hosts = [...new Set([`${shown}:${bound.port}`, ...(isLoopback(address) ? [`localhost:${bound.port}`] : [])])];
  const origin = `${tls === undefined ? 'http' : 'https'}://${hosts[0]}`;
  gate = createGate({ hosts, secure: tls !== undefined, cookieName: `whydrop-${bound.port}` });

  let live: Live | undefined;
  let source: LiveSource | undefined;
  try {
    let stacks: Stacks | undefined;
    const opened = await openLive(options, {}, (event) => {
      stacks?.event(event);
      return true;
    });
    if (isUnavailable(opened)) output.write(`recordings only: ${printable(`${opened.what}: ${opened.why}`)}\n${opened.fix === undefined ? '' : `  fix: ${printable(opened.fix)}\n`}`);
    else {
      live = opened;
      stacks = createStacks(opened.session.diagnosis.incidentOf);
      await live.session.baseline();
      live.session.run();
      source = serveLive(live, stacks);
      world.setLive(source);
      output.write(`watching ${live.watched.length === 0 ? 'all namespaces' : live.watched.slice(0, 8).map((w) => w.name ?? `net:[${w.inode}]`).map(printable).join(', ')}\n`);
    }
    if (options.insecure === true && tls === undefined && !isLoopback(address)) output.write('without TLS: whoever is on the way can read along and use the link\n');
    output.write(`open in a browser (works once): ${link()}\n`);
    const tick = setInterval(() => {
      for (const stream of streams) send(stream, world);
    }, EVENTS_MS);
    const timer = options.for === undefined ? undefined : setTimeout(end, options.for);
    await ended;
    clearInterval(tick);
    clearTimeout(timer);
  } finally {
    source?.stop();
    server.close();
    server.closeAllConnections();
    if (live !== undefined) {
      await live.session.stop();
      live.close();
    }
    await output.flush();
  }
  process.exit();
}

interface Sources extends World {
  setLive(source: ServedSource): void;
}

function createWorld(): Sources {
  const sources = new Map<string, ServedSource>();
  let made = 0;
  let judging = 0;
  const chosen = (id: string): ServedSource | undefined => sources.get(id) ?? (id === 'live' ? [...sources.values()].at(-1) : undefined);
  const texts: readonly CauseText[] = causes.map(({ id, title, knowledge }) => ({ id, title, ...knowledge }));
  return {
    causes: texts,
    setLive: (source) => void sources.set('live', source),
    state: (id) => {
      const source = chosen(id);
      const names = [...sources.values()].map((s) => ({ id: s.id, name: s.name })).sort((a, b) => Number(b.id === 'live') - Number(a.id === 'live'));
      return source === undefined ? nothingYet() : { ...source.state(), sources: names };
    },
    incident: (id, incident) => chosen(id)?.incident(incident),
    host: async (id, netns) => chosen(id)?.host(netns),
    addRecording: async (name, bytes, progress, cancel) => {
      if (judging >= MOST_JUDGED) return { error: `${name}: ${MOST_JUDGED} recordings are being judged already; try again when one is done` };
      judging += 1;
      const recording = await judgeAside(name, bytes, progress, cancel).finally(() => (judging -= 1));
      if ('error' in recording) return recording;
      made += 1;
      const source = servedRecording(`r${made}`, recording);
      sources.set(source.id, source);
      const kept = [...sources.keys()].filter((id) => id !== 'live');
      if (kept.length > RECORDINGS) sources.delete(kept[0]!);
      return { id: source.id };
    },
  };
}

/** Before there is anything to show: no privileges, no recording yet. */
function nothingYet(): SourceState {
  const now = Date.now();
  return { id: 'none', name: 'nothing yet', host: { hostname: '', kernel: '', whydrop: '' }, from: now, to: now, netns: [], probes: [], losses: [], incidents: [], unlisted: 0, timelineFrom: now, counters: [], sources: [] };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: WebOptions, stream: (source: string) => boolean): Promise<void> {
  let url: URL;
  try {
    url = new URL(request.url ?? '/', 'http://whydrop.invalid');
  } catch {
    response.writeHead(400).end(); // no URL that there could be: the client is told
    return;
  }
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  try {
    const reply = await handle({ method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, headers }, (limit) => bodyOf(request, limit), options);
    if (reply.kind === 'whole') {
      // what was not read of a body is not wanted
      response.writeHead(reply.status, { ...reply.headers, ...(request.complete ? {} : { connection: 'close' }) }).end(reply.body);
      return;
    }
    response.writeHead(200, reply.headers);
    if (reply.kind === 'job') {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      await reply.run((line) => void (response.writable && response.write(`${line}\n`)), gone.signal);
      response.end();
      return;
    }
    if (!stream(reply.source)) response.end();
  } catch (error) {
    process.stderr.write(`whydrop: ${printable(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}

async function bodyOf(request: IncomingMessage, limit: number): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return undefined;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limit) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** A browser that reads too slowly misses states, never slows the watch. */
function send({ response, source }: { readonly response: ServerResponse; readonly source: string }, world: World): void {
  if (response.writableNeedDrain || response.writableLength > 0) return;
  const state = world.state(source);
  if (state !== undefined) response.write(`event: state\ndata: ${jsonText(state)}\n\n`);
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`reading ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** Beside the bundle; from a checkout without one, in dist/. Read once: no path of a request ever reaches the disk. */
function builtAssets(): ReadonlyMap<string, Uint8Array> {
  for (const folder of [new URL('./web/', import.meta.url), new URL('../../dist/web/', import.meta.url)]) {
    try {
      return new Map(['index.html', 'app.js', 'app.css', 'icon.svg'].map((name) => [name, readFileSync(fileURLToPath(new URL(name, folder)))]));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new EnvironmentError('the pages are not built: no dist/web', 'npm run build');
}
