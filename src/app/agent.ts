import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { printable } from '../base/text.ts';
import { prometheusText, PROMETHEUS_TYPE, type Metric } from '../exports/index.ts';
import type { Incident, Severity } from '../model/incident.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { createNotices, reportOf, type Notice } from '../report/index.ts';
import { steadyNow } from './clock.ts';
import { EnvironmentError } from './exit.ts';
import { version } from './judged.ts';
import { isLoopback, listenAddress, listener, listening, tlsFiles, type ListenOptions } from './listen.ts';
import { openLive, type Live, type LiveOptions } from './live.ts';
import { cost, createOutput, jsonLine } from './stream.ts';
import { createTally } from './tally.ts';
import { createWebhook, type Webhook } from './webhook.ts';

export interface AgentOptions extends LiveOptions, ListenOptions {
  readonly webhook?: string;
  readonly severity: Severity;
  /** Of a loss that goes on, a notice this often (ms). */
  readonly again: number;
  readonly for?: number;
}

const LOOK_MS = 1_000;
/** What is left for the webhook when the agent ends (ms): it has to be gone within two seconds. */
const LAST_WORDS_MS = 800;

/** `whydrop agent`: watches for good; metrics on HTTP, notices as JSON lines on stdout and to a webhook. */
export async function agent(options: AgentOptions): Promise<void> {
  const { address, port } = listenAddress(options);
  const tls = tlsFiles(options);
  let end!: () => void;
  const ended = new Promise<void>((done) => (end = done));
  const output = createOutput(end);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  const say = (text: string): void => void process.stderr.write(`${printable(text)}\n`);
  const webhook = options.webhook === undefined ? undefined : createWebhook(options.webhook, process.env['WHYDROP_WEBHOOK_AUTHORIZATION'], say);

  let live: Live | undefined;
  let metrics: () => readonly Metric[] = () => [];
  const server = listener(tls, (request, response) => void answer(request, response, isLoopback(address), metrics));
  await listening(server, address, port);
  const bound = server.address() as AddressInfo;
  try {
    const names = new Map<number, string>();
    const tally = createTally((inode) => names.get(inode) ?? `net:[${inode}]`);
    const latest = new Map<string, Incident>();
    const opened = await openLive(options, {
      incidents: (incidents) => {
        tally.incidents(incidents);
        for (const incident of incidents) latest.set(incident.id, incident);
      },
    }, (event) => {
      tally.event(event);
      return true;
    });
    if (isUnavailable(opened)) throw new EnvironmentError(`${opened.what}: ${opened.why}`, opened.fix);
    live = opened;
    const { hostname, kernel } = live.host;
    for (const [inode, name] of live.facts.netnsNames) names.set(inode, name);
    const started = Date.now() / 1000;
    metrics = () => [...about(opened, webhook, started), ...tally.metrics()];
    await live.session.baseline();
    live.session.run();
    say(`metrics on ${tls === undefined ? 'http' : 'https'}://${isIP(address) === 6 ? `[${address}]` : address}:${bound.port}/metrics; notices of ${options.severity} and above on stdout${options.webhook === undefined ? '' : ` and to ${new URL(options.webhook).origin}`}`);
    for (const { id, state, why } of live.states) if (state === 'unavailable') say(`${id}: not armed: ${why ?? ''}`);

    const notices = createNotices(options);
    const tell = (last = false): void => {
      const now = steadyNow();
      for (const notice of notices(now, [...latest.values()], last)) {
        const line = jsonLine({ type: 'notice', event: notice.event, time: new Date().toISOString(), host: { hostname, kernel }, text: textOf(notice, hostname, now), incident: notice.incident });
        output.write(line);
        webhook?.send(line);
      }
      for (const [id, { state }] of latest) if (state === 'closed') latest.delete(id);
    };
    const look = setInterval(() => tell(), LOOK_MS);
    const timer = options.for === undefined ? undefined : setTimeout(end, options.for);
    await ended;
    clearInterval(look);
    clearTimeout(timer);
    for (const incident of await live.session.stop()) latest.set(incident.id, incident);
    tell(true);
  } finally {
    server.close();
    server.closeAllConnections();
    live?.close();
    await webhook?.close(LAST_WORDS_MS);
    await output.flush();
  }
  process.exit();
}

/** `web1: WARNING A firewall rule dropped it: 20 packets …; do: iptables -D …`: for chats, which show `text`. */
function textOf({ event, incident }: Notice, hostname: string, now: number): string {
  const report = reportOf(incident, now);
  const fix = incident.remedies[0];
  const word = { opened: report.severityLook.word, changed: `${report.severityLook.word} (new verdict)`, continues: `${report.severityLook.word} (goes on)`, closed: 'OVER' }[event];
  return printable(`${hostname}: ${word} ${report.headline}${fix === undefined || event === 'closed' ? '' : `; fix: ${fix.command ?? fix.text}`}`);
}

/** The agent itself. */
function about(live: Live, webhook: Webhook | undefined, started: number): readonly Metric[] {
  const { cpuSeconds } = cost(0);
  const one = (name: string, kind: Metric['kind'], help: string, value: number): Metric => ({ name, kind, help, labels: [], series: [{ labels: [], value }] });
  return [
    { name: 'whydrop_info', kind: 'gauge', help: 'Which whydrop watches which kernel.', labels: ['version', 'kernel'], series: [{ labels: [version, live.host.kernel], value: 1 }] },
    { name: 'whydrop_probe_armed', kind: 'gauge', help: '1: this probe sees; 0: it could not be armed (whydrop doctor says why).', labels: ['probe'], series: live.states.map((p) => ({ labels: [p.id], value: p.state === 'armed' ? 1 : 0 })) },
    ...(webhook === undefined ? [] : [
      one('whydrop_webhook_delivered_total', 'counter', 'Notices that the webhook took.', webhook.delivered),
      one('whydrop_webhook_lost_total', 'counter', 'Notices that it refused, or that were given up.', webhook.lost),
    ]),
    one('process_cpu_seconds_total', 'counter', 'CPU time of the agent.', cpuSeconds),
    one('process_resident_memory_bytes', 'gauge', 'Resident memory of the agent.', process.memoryUsage.rss()),
    one('process_start_time_seconds', 'gauge', 'When the agent began, seconds since 1970.', Math.round(started * 1000) / 1000),
  ];
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' } as const;

async function answer(request: IncomingMessage, response: ServerResponse, loopback: boolean, metrics: () => readonly Metric[]): Promise<void> {
  const [path] = (request.url ?? '/').split('?');
  const reply = (status: number, text: string, type?: string): void => void response.writeHead(status, { ...PLAIN, ...(type === undefined ? {} : { 'content-type': type }) }).end(text);
  // a page in a browser on this machine, whose name was pointed at 127.0.0.1, has a Host of its own
  if (loopback && !/^(localhost|127\.[0-9.]+|\[::1\])(:\d+)?$/.test(request.headers.host ?? '')) return reply(403, 'the Host header names another machine\n');
  if (request.method !== 'GET') return reply(405, 'GET only\n');
  if (path === '/healthz') return reply(200, 'ok\n');
  if (path !== '/metrics') return reply(404, '/metrics and /healthz\n');
  try {
    reply(200, await prometheusText(metrics()), PROMETHEUS_TYPE);
  } catch (error) {
    process.stderr.write(`whydrop: ${printable(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
    reply(500, 'a bug of ours; see the log\n');
  }
}
