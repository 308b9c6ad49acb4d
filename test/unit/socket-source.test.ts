import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { decodeSockDiag } from '../../src/formats/sock-diag.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { readSockets } from '../../src/sources/sockets.ts';

test('the kernel lists sockets that this process has opened', async () => {
  const udp = createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  const tcp = createServer();
  tcp.listen({ host: '127.0.0.1', port: 0, backlog: 7 });
  await once(tcp, 'listening');
  try {
    const datagrams = readSockets(undefined, 'udp');
    assert.ok(!isUnavailable(datagrams), JSON.stringify(datagrams));
    const own = decodeSockDiag(datagrams, 'udp').sockets.find((s) => s.localPort === udp.address().port);
    assert.deepEqual([own?.local, own?.state, own?.kind], ['127.0.0.1', 'close', 'udp']);
    assert.ok((own?.memory?.receiveBuffer ?? 0) > 0);
    const listeners = readSockets(undefined, 'tcp-listen');
    assert.ok(!isUnavailable(listeners), JSON.stringify(listeners));
    const { sockets } = decodeSockDiag(listeners, 'tcp');
    assert.ok(sockets.every((s) => s.state === 'listen'));
    const address = tcp.address();
    assert.equal(sockets.find((s) => typeof address === 'object' && s.localPort === address?.port)?.sendQueue, 7);
  } finally {
    udp.close();
    tcp.close();
  }
});

test('a listing that does not exist is an answer, not an error', () => {
  const wrong = readSockets(undefined, 'udp7');
  assert.ok(isUnavailable(wrong));
  const gone = readSockets('/run/netns/there-is-none', 'udp');
  assert.ok(isUnavailable(gone) && gone.unavailable === 'missing');
});
