import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mono } from '../../src/base/brand.ts';
import { cause as keyMismatch } from '../../src/causes/tunnel/key-mismatch.ts';
import { logSymptoms } from '../../src/evidence/log/symptoms.ts';
import { recogniseLogLine } from '../../src/formats/app-log.ts';
import { BLUE, fakeEvidence } from '../fake-evidence.ts';
import { found, judged, process } from './socket-world.ts';

// lines as the daemons wrote them: OpenVPN 2.3 (2013), 2.6.3 and 2.6.14
const OLD = '2013-07-18 13:05:13\u00a0 www.1.com/192.168.200.220:65527 write UDPv4 []: Operation not permitted (code=1)';
const NEW = '2026-11-22 22:49:21 us=586294 write UDPv4 []: Operation not permitted (fd=4,code=1)';
const HMAC = '2026-11-23 00:55:33 Authenticate/Decrypt packet error: packet HMAC authentication failed';
const REJECTED = '2026-11-22 22:49:15 us=261084 TCP/UDP: Incoming packet rejected from [AF_INET]10.99.0.2:48180[2], expected peer address: [AF_INET]10.99.0.2:1194 (allow this incoming source address/port by removing --remote or adding --float)';

test('OpenVPN, old and new', () => {
  const old = recogniseLogLine(OLD);
  assert.deepEqual([old?.kind, old?.errno, old?.action, old?.program, old?.addresses], ['call-failed', 'EPERM', 'write', 'openvpn', ['192.168.200.220:65527']]);
  const fresh = recogniseLogLine(NEW);
  assert.deepEqual([fresh?.errno, fresh?.time?.ms], ['EPERM', Date.UTC(2026, 10, 22, 22, 49, 21, 586)]);
  assert.equal(recogniseLogLine(HMAC)?.kind, 'key-mismatch');
  assert.deepEqual([recogniseLogLine(REJECTED)?.kind, recogniseLogLine(REJECTED)?.addresses], ['peer-rejected', ['10.99.0.2:48180', '10.99.0.2:1194']]);
});

test('syslog of other daemons', () => {
  const named = recogniseLogLine('Nov 22 17:45:46 ns1 named[812]: error (network unreachable) resolving example.org/A/IN: 2001:500:8f::53#53');
  assert.deepEqual([named?.program, named?.pid, named?.errno], ['named', 812, 'ENETUNREACH']);
  const nginx = recogniseLogLine('2026/11/22 17:45:46 [error] 31#31: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.7, server: , upstream: "http://10.0.0.9:8080/"');
  assert.deepEqual([nginx?.errno, nginx?.action, nginx?.addresses], ['ECONNREFUSED', 'connect', ['10.0.0.7', '10.0.0.9:8080']]);
  assert.equal(recogniseLogLine('Nov 22 17:45:46 gw charon[90]: 07[IKE] received AUTHENTICATION_FAILED notify error')?.kind, 'key-mismatch');
});

test('lines that tell of nothing lost', () => {
  for (const line of ['', '2026-11-23 00:55:33 Initialization Sequence Completed', 'Nov 22 17:45:46 host sshd[3]: Accepted publickey for root from 10.0.0.1 port 4000', '2026-11-23 00:55:33 UDPv4 link local (bound): [AF_INET]10.0.0.2:1194', 'ls: cannot open directory: Permission denied']) {
    assert.equal(recogniseLogLine(line), undefined, line);
  }
});

test('no text makes it throw or hang', () => {
  fc.assert(fc.property(fc.string({ maxLength: 400 }), (line) => void recogniseLogLine(line)), { numRuns: 2000 });
  fc.assert(fc.property(fc.constantFrom(OLD, NEW, HMAC, REJECTED), fc.nat(200), fc.string(), (line, at, junk) => void recogniseLogLine(line.slice(0, at) + junk + line.slice(at))), { numRuns: 2000 });
  const t = performance.now();
  recogniseLogLine(`${'packet '.repeat(550)} authentication `);
  recogniseLogLine('a:'.repeat(2000));
  assert.ok(performance.now() - t < 200);
});

const tail = (text: string, mtime: number) => [{ topic: 'log-tail' as const, argument: '77' }, JSON.stringify([{ path: '/var/log/openvpn.log', text, size: text.length, mtime }])] as const;
const DAEMON = process({ pid: 77, comm: 'openvpn', cmdline: 'openvpn --config /etc/openvpn/site.conf --log /var/log/openvpn.log' });
const PROCESSES = [{ topic: 'processes' as const, netns: BLUE }, `[${DAEMON[1] as string}]`] as const;

test('only lines since watching began are symptoms, in whatever zone the log is written', () => {
  // the fake clock's zero is 1970-01-01T00:00:00Z; the log is written two hours ahead
  const since = mono(1_000_000_000_000n); // 00:16:40
  const text = ['1970-01-01 02:10:00 Authenticate/Decrypt packet error: packet HMAC authentication failed', '1970-01-01 02:16:50 Authenticate/Decrypt packet error: packet HMAC authentication failed', '1970-01-01 02:16:51 Peer Connection Initiated'].join('\n');
  const symptoms = logSymptoms(fakeEvidence({ answers: [PROCESSES, tail(text, 1011)] }), BLUE, since);
  assert.equal(symptoms.length, 1);
  assert.match(symptoms[0]?.line ?? '', /02:16:50/);
  assert.equal(symptoms[0]?.first, mono(1_010_000_000_000n));
  assert.deepEqual(logSymptoms(fakeEvidence({ answers: [PROCESSES, tail(text, 900)] }), BLUE, since), [], 'the file has not changed since');
});

test('keys that differ, by the log of the daemon', () => {
  const symptom = { kind: 'log' as const, netns: BLUE, first: mono(1n), pid: 77, file: '/var/log/openvpn.log', line: HMAC };
  const f = found(judged(keyMismatch, symptom, { answers: [DAEMON] }));
  assert.match(f.culprit.text, /openvpn \(pid 77.*site\.conf/);
  assert.match(f.remedies[0]?.text ?? '', /same key on both ends/);
  assert.equal(judged(keyMismatch, { ...symptom, line: NEW }, { answers: [DAEMON] }).outcome, 'not-applicable');
});
