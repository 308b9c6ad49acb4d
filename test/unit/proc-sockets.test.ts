import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProcSockets } from '../../src/formats/proc-sockets.ts';

/* As Linux 6.18 gave them. */
const RAW = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  48: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2828059 2 000000009ec2eac1 0
`;
const RAW6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   58: 000080FE00000000FFF0A2A205E2FEE4:003A 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12345 2 0000000000000000 0
`;

test('raw sockets of both families, their protocol where a port would be', () => {
  assert.deepEqual(decodeProcSockets(RAW), [{ local: '0.0.0.0', localPort: 1, inode: 2828059 }]);
  assert.deepEqual(decodeProcSockets(RAW6), [{ local: 'fe80::a2a2:f0ff:e4fe:e205', localPort: 58, inode: 12345 }]);
});

test('what is cut or strange is left out, nothing is thrown', () => {
  for (let end = 0; end < RAW.length; end += 7) decodeProcSockets(RAW.slice(0, end));
  assert.deepEqual(decodeProcSockets('48: 00000000:0001'), []);
  assert.deepEqual(decodeProcSockets(RAW.replace('2828059', 'x')), []);
  assert.deepEqual(decodeProcSockets(RAW.replace('00000000:0001', '0000:0001')), []);
});
