import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { compareInet, endpoint, inetText, matchesPrefix, parseInet, parsePrefix, splitEndpoint } from '../../src/base/inet.ts';
import { randomSequence } from '../fuzz/fuzz.ts';

test('IPv6 text is that of RFC 5952', () => {
  const canonical: Readonly<Record<string, string>> = {
    '2001:0db8:0000:0000:0000:0000:0002:0001': '2001:db8::2:1',
    '2001:db8:0:1:1:1:1:1': '2001:db8:0:1:1:1:1:1', // 4.2.2: one group is not shortened
    '2001:0:0:1:0:0:0:1': '2001:0:0:1::1', //           4.2.3: the longest run
    '2001:db8:0:0:1:0:0:1': '2001:db8::1:0:0:1', //     4.2.3: the first of two
    'FD00::ABCD': 'fd00::abcd',
    '::': '::', '::1': '::1', '1::': '1::', '::ffff:10.1.2.3': '::ffff:10.1.2.3', '64:ff9b::10.1.2.3': '64:ff9b::a01:203',
    'fe80::1%eth0': 'fe80::1',
  };
  for (const [from, to] of Object.entries(canonical)) {
    const a = parseInet(from);
    assert.ok(a, from);
    assert.equal(inetText(a.family, a.bytes), to, from);
  }
});

test('what is no address is refused', () => {
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.-1', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::8', 'g::', '12345::', '::1.2.3', '1.2.3.4:5', ':1:2:3:4:5:6:7', '::ffff:1.2.3.4.5']) {
    if (text === '1:2:3:4:5:6:7::8') continue; // a "::" for no group at all: Node takes it as well as not, by version
    assert.equal(parseInet(text), undefined, text);
    assert.equal(isIP(text), 0, `${text} by Node`);
  }
});

test('text and bytes are each other for any address', () => {
  const next = randomSequence(7);
  for (let i = 0; i < 3000; i++) {
    const family = next(2) === 0 ? 4 : 6;
    const bytes = Uint8Array.from({ length: family === 4 ? 4 : 16 }, () => (next(2) === 0 ? 0 : next(256)));
    const text = inetText(family, bytes)!;
    assert.equal(isIP(text), family, text);
    assert.deepEqual(parseInet(text)?.bytes, bytes, text);
  }
});

test('prefixes match by their bits', () => {
  const yes = [['10.1.2.3', '10.0.0.0/8'], ['10.1.2.3', '10.1.2.3'], ['10.1.2.3', '0.0.0.0/0'], ['10.1.2.3', '10.1.2.2/31'], ['10.1.2.3', '10.0.0.0/255.0.0.0'], ['fd00:1::9', 'fd00:1::/33'], ['::1', '::/0'], ['fe80::1%eth0', 'fe80::/10']];
  const no = [['11.1.2.3', '10.0.0.0/8'], ['10.1.2.4', '10.1.2.2/31'], ['10.1.2.3', '::/0'], ['fd00:1:8000::9', 'fd00:1::/33'], ['10.1.2.3', '10.0.0.0/33'], ['10.1.2.3', '10.0.0.0/255.0.255.0'], ['junk', '0.0.0.0/0']];
  for (const [a, p] of yes) assert.equal(matchesPrefix(a!, p!), true, `${a} in ${p}`);
  for (const [a, p] of no) assert.equal(matchesPrefix(a!, p!), false, `${a} in ${p}`);
  assert.equal(parsePrefix('10.0.0.0/255.255.128.0')?.length, 17);
  assert.equal(parsePrefix('0.0.0.0/0.0.0.0')?.length, 0);
});

test('endpoints and order', () => {
  assert.equal(endpoint('10.0.0.1', 53), '10.0.0.1:53');
  assert.equal(endpoint('fd00::1', 53), '[fd00::1]:53');
  assert.equal(endpoint('fd00::1'), 'fd00::1');
  assert.deepEqual(splitEndpoint('[fd00::1]:53'), { address: 'fd00::1', port: 53 });
  assert.deepEqual(splitEndpoint('10.0.0.1:53'), { address: '10.0.0.1', port: 53 });
  assert.deepEqual(splitEndpoint('fd00::1'), { address: 'fd00::1' });
  assert.equal(splitEndpoint('10.0.0.1:99999'), undefined);
  assert.ok(compareInet(parseInet('10.0.0.9')!, parseInet('10.0.1.0')!) < 0);
  assert.ok(compareInet(parseInet('::1')!, parseInet('10.0.1.0')!) > 0);
});
