import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeNetDev } from '../../src/formats/net-dev.ts';
import { decodeNetstat } from '../../src/formats/netstat.ts';
import { decodeSnmp } from '../../src/formats/snmp.ts';
import { decodeSnmp6 } from '../../src/formats/snmp6.ts';
import { decodeSoftnetStat } from '../../src/formats/softnet-stat.ts';
import { decodeXfrmStat } from '../../src/formats/xfrm-stat.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/counters/${name}`, import.meta.url), 'utf8');

test('snmp: the lost datagram of the 6.1 incident is one OutDiscard', () => {
  const before = decodeSnmp(fixture('6.1-snmp.before.txt')), after = decodeSnmp(fixture('6.1-snmp.after.txt'));
  assert.equal(before.status, 'complete');
  assert.equal(after.status, 'complete');
  assert.equal(after.values.get('Ip OutDiscards')! - before.values.get('Ip OutDiscards')!, 1);
  assert.equal(after.values.get('Tcp MaxConn'), -1);
});

test('netstat: several prefixes, of two kernels', () => {
  for (const name of ['6.1-netstat.after.txt', '6.18-netstat.txt']) {
    const { values, status } = decodeNetstat(fixture(name));
    assert.equal(status, 'complete', name);
    assert.notEqual(values.get('TcpExt ListenDrops'), undefined);
    assert.notEqual(values.get('IpExt InNoRoutes'), undefined);
  }
});

test('a new kernel has columns that an old one has not: names decide', () => {
  assert.notEqual(decodeSnmp(fixture('6.18-snmp.txt')).values.get('Ip OutTransmits'), undefined);
  assert.equal(decodeSnmp(fixture('6.1-snmp.after.txt')).values.get('Ip OutTransmits'), undefined);
});

test('snmp: a header without its row, a short row, words instead of numbers', () => {
  assert.equal(decodeSnmp('Ip: A B\nTcp: C\nTcp: 1\n').values.get('Tcp C'), 1);
  assert.equal(decodeSnmp('Ip: A B\nTcp: C\nTcp: 1\n').status, 'partial');
  const short = decodeSnmp('Ip: A B C\nIp: 1 x\n');
  assert.deepEqual([short.status, short.values.get('Ip A'), short.values.has('Ip B')], ['partial', 1, false]);
  assert.equal(decodeSnmp('no colon\n').status, 'partial');
});

test('snmp6 and xfrm_stat: one counter a line', () => {
  const six = decodeSnmp6(fixture('6.18-snmp6.txt'));
  assert.equal(six.status, 'complete');
  assert.notEqual(six.values.get('Ip6InDiscards'), undefined);
  const xfrm = decodeXfrmStat('XfrmInError             \t0\nXfrmOutPolBlock         \t3\n');
  assert.equal(xfrm.values.get('XfrmOutPolBlock'), 3);
  assert.equal(decodeSnmp6('broken line here\n').status, 'partial');
});

test('softnet_stat: 13 columns of 6.1, 15 of 6.18; the CPU is the number in the row', () => {
  const old = decodeSoftnetStat(fixture('6.1-softnet_stat.after.txt'));
  assert.equal(old.cpus.length, 4);
  assert.ok(old.cpus.every((row, i) => row.cpu === i && row.values.get('processed')! > 0));
  const two = decodeSoftnetStat('00000c2b 00000005 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000007 00000002 00000003 00000004\n');
  assert.equal(two.cpus[0]!.cpu, 2);
  assert.deepEqual([...two.cpus[0]!.values], [['processed', 0xc2b], ['dropped', 5], ['time_squeeze', 1], ['cpu_collision', 0], ['received_rps', 0], ['flow_limit_count', 0], ['backlog', 7], ['cpu', 2], ['input_qlen', 3], ['process_qlen', 4]]);
  assert.deepEqual(decodeSoftnetStat('00000c2b 00000005 zz\n').status, 'partial');
});

test('/proc/net/dev: receive and transmit columns have the same names; colons in names', () => {
  const text = 'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n'
    + '    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n'
    + 'eth0:1: 10 2 3 4 0 0 0 5 20 6 7 8 0 9 0 0\n';
  const { values, status } = decodeNetDev(text);
  assert.equal(status, 'complete');
  assert.deepEqual([values.get('lo rx bytes'), values.get('eth0:1 rx drop'), values.get('eth0:1 tx drop'), values.get('eth0:1 rx multicast'), values.get('eth0:1 tx colls')], [3193, 4, 8, 5, 9]);
  assert.equal(decodeNetDev(fixture('6.18-dev.txt')).values.get('lo rx drop'), 0);
});
