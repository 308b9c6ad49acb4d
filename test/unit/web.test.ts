import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounterHistory } from '../../src/app/serve-live.ts';
import { listenAddress } from '../../src/app/listen.ts';
import { createGate, handle, listed, type WebRequest, type World } from '../../src/views/web/index.ts';
import { ruleDrop } from '../fixtures-incidents.ts';

const HOST = '127.0.0.1:8474';
const ask = (path: string, headers: Record<string, string> = {}, method = 'GET'): WebRequest => {
  const url = new URL(path, 'http://x');
  return { method, path: url.pathname, query: url.searchParams, headers: { host: HOST, ...headers } };
};
const gateOf = () => createGate({ hosts: [HOST, 'localhost:8474'], secure: false, cookieName: 'whydrop-8474' });

function login(gate: ReturnType<typeof gateOf>): string {
  const admission = gate.admit(ask(`/?token=${gate.token()}`));
  assert.equal(admission.admit, 'login');
  return admission.admit === 'login' ? admission.cookie.split(';')[0]! : '';
}

test('a link lets one browser in, once; a newer link takes the place of an unused one', () => {
  const gate = gateOf();
  const first = gate.token();
  const second = gate.token();
  assert.equal(gate.admit(ask(`/?token=${first}`)).admit, false);
  assert.equal(gate.admit(ask(`/?token=${second}`)).admit, 'login');
  assert.equal(gate.admit(ask(`/?token=${second}`)).admit, false);
  assert.equal(gate.admit(ask('/?token=')).admit, false);
});

test('a cookie is right only with our Host, our Origin and our own site', () => {
  const gate = gateOf();
  const cookie = login(gate);
  assert.equal(gate.admit(ask('/api/state', { cookie })).admit, true);
  assert.equal(gate.admit(ask('/api/state', { cookie: `other=1; ${cookie}` })).admit, true);
  assert.equal(gate.admit(ask('/api/state', { cookie, origin: 'http://localhost:8474', host: 'localhost:8474' })).admit, true);
  const refused: readonly Record<string, string>[] = [
    {}, { cookie: 'whydrop-8474=guess' }, { cookie, host: 'rebound.example:8474' }, { cookie, host: '127.0.0.1' }, { cookie, origin: 'http://evil.example' }, { cookie, origin: 'null' },
    { cookie, origin: 'https://127.0.0.1:8474' }, { cookie, 'sec-fetch-site': 'cross-site' }, { cookie, 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of refused) assert.equal(gate.admit(ask('/api/state', headers)).admit, false, JSON.stringify(headers));
  assert.equal(gate.admit(ask('/api/recordings', { cookie }, 'POST')).admit, false);
  assert.equal(gate.admit(ask('/api/recordings', { cookie, origin: `http://${HOST}` }, 'POST')).admit, true);
});

test('browsers that were let in are bounded: the first is let go', () => {
  const gate = gateOf();
  const first = login(gate);
  for (let i = 0; i < 16; i++) login(gate);
  assert.equal(gate.admit(ask('/api/state', { cookie: first })).admit, false);
});

test('the handler gives only what it has, under a strict policy, and reads no body of strangers', async () => {
  const gate = gateOf();
  const cookie = login(gate);
  const world: World = { state: () => undefined, incident: () => undefined, host: async () => undefined, causes: [], addRecording: async (_, bytes) => ({ error: `${bytes.length} bytes` }) };
  let read = 0;
  const body = async () => ((read += 1), new Uint8Array(3));
  const options = { gate, world, assets: new Map([['app.js', new Uint8Array([1])]]), onLogin: () => undefined };
  const reply = async (request: WebRequest) => {
    const got = await handle(request, body, options);
    assert.match(got.headers['content-security-policy'] ?? '', /default-src 'none'/);
    assert.equal(got.headers['x-content-type-options'], 'nosniff');
    return got.kind === 'whole' ? got.status : got.kind;
  };
  assert.equal(await reply(ask('/api/recordings', { origin: `http://${HOST}` }, 'POST')), 401);
  assert.equal(read, 0);
  assert.equal(await reply(ask('/api/recordings', { cookie, origin: `http://${HOST}` }, 'POST')), 'job');
  assert.equal(await reply(ask('/app.js', { cookie })), 200);
  assert.equal(await reply(ask('/whydrop.js', { cookie })), 404);
  assert.equal(await reply(ask('/api/state', { cookie })), 404);
  assert.equal(await reply(ask('/api/causes', { cookie })), 200);
  assert.equal(await reply(ask('/api/events', { cookie })), 'events');
  assert.equal(await reply(ask('/api/state', { cookie, origin: `http://${HOST}` }, 'DELETE')), 405);
});

test('beyond this machine only with TLS, or when told so; never on every address', () => {
  assert.deepEqual(listenAddress({ listen: '127.0.0.1' }), { address: '127.0.0.1', port: 0 });
  assert.deepEqual(listenAddress({ listen: 'localhost:8474' }), { address: '127.0.0.1', port: 8474 });
  assert.deepEqual(listenAddress({ listen: '[::1]:8474' }), { address: '::1', port: 8474 });
  assert.deepEqual(listenAddress({ listen: '192.0.2.1:443', tls: 'cert', tlsKey: 'key' }), { address: '192.0.2.1', port: 443 });
  assert.deepEqual(listenAddress({ listen: '192.0.2.1', insecure: true }), { address: '192.0.2.1', port: 0 });
  for (const listen of ['192.0.2.1', '0.0.0.0', '::', 'example.org', '127.0.0.1:99999', '127.0.0.1:x', '']) assert.throws(() => listenAddress({ listen }), /--listen/, listen);
  assert.throws(() => listenAddress({ listen: '0.0.0.0', insecure: true }), /Host header/);
  assert.throws(() => listenAddress({ listen: '127.0.0.1', tlsKey: 'key' }), /--tls CERT/);
});

test('counters keep what changed, for a bounded time', () => {
  const history = createCounterHistory(100);
  for (let t = 0; t < 10_000; t++) {
    history.add('still', t * 1000, 7);
    history.add('moving', t * 1000, t);
  }
  assert.equal(history.points, 100);
  const [series, ...others] = history.series(9_990_000, 9_990_000);
  assert.deepEqual(others, []);
  assert.equal(series!.name, 'moving');
  assert.deepEqual(series!.points[0], [0, 9989]);
  assert.deepEqual(series!.points.at(-1), [9_000, 9_999]);
});

test('what is listed of an incident is small, however many flows it hit', () => {
  const victims = Array.from({ length: 50_000 }, (_, i) => ({ ...ruleDrop.victims[0]!, count: i }));
  const small = listed({ ...ruleDrop, victims });
  assert.equal(small.flows, 50_000);
  assert.deepEqual(small.victims.map((v) => v.count), [49_999, 49_998, 49_997]);
  assert.ok(JSON.stringify(small).length < 8_000);
});
