import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { lab, skip } from './bpf-lab.ts';

const WHYDROP = new URL('../../whydrop', import.meta.url).pathname;
/** The Prometheus project's own reader of the format, a Debian package. */
const READER = '/usr/lib/python3/dist-packages/prometheus_client/parser.py';
const READ = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[s.name, s.labels, s.value] for f in text_string_to_metric_families(sys.stdin.read()) for s in f.samples]))`;

type Sample = readonly [name: string, labels: Readonly<Record<string, string>>, value: number];
type Notice = { type: string; event: string; text: string; incident: { id: string; cause: { id: string }; count: number } };

function parsed(text: string): readonly Sample[] {
  const { status, stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', READ], { input: text, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Sample[];
}

const why = skip !== false ? skip : !existsSync(READER) ? 'needs python3-prometheus-client' : false;

test('the agent: exact metrics that the Prometheus reader takes, notices on stdout and to a webhook that comes back', { skip: why, timeout: 60_000 }, async (t) => {
  const ns = lab('agent');
  t.after(() => ns.remove());
  ns.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');

  const posted: { body: Notice; authorization: string | undefined }[] = [];
  let refusals = 1;
  const hook = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      // the receiver restarts just then: tried again
      if (refusals-- > 0) return void response.writeHead(503).end();
      posted.push({ body: JSON.parse(body) as Notice, authorization: request.headers.authorization });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((done) => hook.listen(0, '127.0.0.1', done));
  t.after(() => hook.close());

  const child = spawn(WHYDROP, ['agent', '--netns', ns.name, '--listen', '127.0.0.1:0', '--webhook', `http://127.0.0.1:${(hook.address() as AddressInfo).port}/in?x=1`], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, WHYDROP_WEBHOOK_AUTHORIZATION: 'Bearer of-news' },
  });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (d: Buffer) => (out += d.toString()));
  child.stderr.on('data', (d: Buffer) => (err += d.toString()));
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  const until = async <T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> => {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await new Promise((done) => setTimeout(done, 50))) {
      const found = await look();
      if (found !== undefined) return found;
    }
    assert.fail(`${what} did not come; stderr: ${err}`);
  };
  const url = await until('the address', () => /metrics on (\S+);/.exec(err)?.[1]);
  const scrape = async (): Promise<readonly Sample[]> => {
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    return parsed(await response.text());
  };
  const sum = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
    samples.filter(([n, l]) => n === name && Object.entries(labels).every(([k, v]) => l[k] === v)).reduce((s, [, , value]) => s + value, 0);

  const before = await scrape();
  assert.equal(sum(before, 'whydrop_probe_armed', { probe: 'drop-bpf' }), 1);
  assert.equal(sum(before, 'whydrop_dropped_packets_total', { reason: 'NETFILTER_DROP' }), 0);
  assert.ok(sum(before, 'process_resident_memory_bytes') > 1e7);

  const SENT = 700;
  const { out: refused } = await ns.python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
for i in range(${SENT}):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except PermissionError: n += 1
print(n)`);
  assert.equal(Number(refused), SENT);

  const after = await until('the count', async () => {
    const samples = await scrape();
    const lost = sum(samples, 'whydrop_losses_total', { cause: 'netfilter.rule-drop', netns: ns.name }), failed = sum(samples, 'whydrop_failed_calls_total', { errno: 'EPERM' });
    return lost >= SENT && failed >= SENT ? samples : undefined;
  });
  assert.equal(sum(after, 'whydrop_losses_total', { cause: 'netfilter.rule-drop', netns: ns.name }), SENT);
  assert.equal(sum(after, 'whydrop_dropped_packets_total', { netns: ns.name, reason: 'NETFILTER_DROP', protocol: 'ip' }), SENT);
  assert.equal(sum(after, 'whydrop_failed_calls_total', { syscall: 'sendto', errno: 'EPERM' }), SENT);
  assert.equal(sum(after, 'whydrop_incidents_open', { cause: 'netfilter.rule-drop', severity: 'warning' }) + sum(after, 'whydrop_incidents_open', { cause: 'netfilter.rule-drop', severity: 'critical' }), 1);

  const first = await until('the notice', () => posted[0]);
  assert.equal(first.authorization, 'Bearer of-news');
  assert.equal(first.body.event, 'opened');
  assert.equal(first.body.incident.cause.id, 'netfilter.rule-drop');
  assert.match(first.body.text, /iptables -D OUTPUT .*9000/);
  const [line] = out.split('\n');
  assert.deepEqual(JSON.parse(line ?? ''), first.body);
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
  for (const file of ['incident', 'notice']) ajv.addSchema(JSON.parse(readFileSync(new URL(`../../docs/json-schema/${file}.json`, import.meta.url), 'utf8')));
  const valid = ajv.getSchema('notice.json')!;
  assert.ok(valid(first.body), JSON.stringify(valid.errors));
  assert.match(err, /posting to http:\/\/127\.0\.0\.1:\d+: HTTP 503/);

  // a page of a browser whose name points here
  const { hostname, port } = new URL(url);
  const status = spawnSync('/usr/bin/python3', ['-c', `
import http.client
c = http.client.HTTPConnection('${hostname}', ${port})
c.request('GET', '/metrics', headers={'Host': 'evil.example'})
print(c.getresponse().status)`], { encoding: 'utf8' }).stdout.trim();
  assert.equal(status, '403');

  const killed = Date.now();
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.ok(Date.now() - killed < 2_500);
});
