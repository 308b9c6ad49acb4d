import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { addressSpan, exactly, ip4Bits, ip6Bits, macBits, markAndMask, prefixSpan } from '../../src/formats/address-bits.ts';
import { entryOf, readConntrack } from '../../src/formats/conntrack-text.ts';
import { countersIn, readCounters, statOfConntrackS } from '../../src/formats/counter-text.ts';
import { readKernelLog } from '../../src/formats/dmesg.ts';
import type { Reading } from '../../src/formats/evidence-record.ts';
import { readFtrace, symbolFrame } from '../../src/formats/ftrace-text.ts';
import { readHost } from '../../src/formats/host-text.ts';
import { readKernelConfig } from '../../src/formats/kernel-config.ts';
import { readDropFilter } from '../../src/formats/kfree-filter.ts';
import { readLog } from '../../src/formats/log-lines.ts';
import { decodeNetDev } from '../../src/formats/net-dev.ts';
import { decodeConntrackStat, totalOf } from '../../src/formats/nf-conntrack-stat.ts';
import { droppersIn, readRules } from '../../src/formats/rule-text.ts';
import { parseSave } from '../../src/formats/save-text.ts';
import { decodeSnmp } from '../../src/formats/snmp.ts';
import { decodeSnmp6 } from '../../src/formats/snmp6.ts';
import { decodeSoftnetStat } from '../../src/formats/softnet-stat.ts';
import { wallTime } from '../../src/formats/wall-time.ts';
import { fuzzText } from './fuzz.ts';

/* Seeds are files that kernels 6.1 and 6.18 and their tools wrote; the head of each, for the fuzzer to be quick. */
const fixtures = new URL('../../fixtures/', import.meta.url).pathname;
const textsOf = (folder: string, limit: number): readonly string[] =>
  readdirSync(`${fixtures}${folder}`, { withFileTypes: true }).filter((f) => f.isFile()).map((f) => readFileSync(`${fixtures}${folder}/${f.name}`, 'utf8').slice(0, limit));
const counters = textsOf('counters', 2500);
const evidence = [...textsOf('analyze/openvpn-6.1', 1500), ...textsOf('analyze/openvpn-2013', 1500), ...textsOf('analyze/rule-drop-6.18', 1500)];

const COUNTERS: Readonly<Record<string, (text: string) => unknown>> = {
  snmp: decodeSnmp, snmp6: decodeSnmp6, 'net-dev': decodeNetDev, softnet_stat: decodeSoftnetStat,
  'stat/nf_conntrack': (text) => {
    const decoded = decodeConntrackStat(text);
    return [decoded, totalOf('cpus' in decoded ? (decoded.cpus as never) : [])];
  },
};
for (const [name, decode] of Object.entries(COUNTERS)) {
  test(`${name}: whatever the text, it ends, says the same twice and counts with numbers`, () => {
    fuzzText({
      seeds: counters, rounds: 800,
      decode: (text) => {
        const decoded = decode(text);
        JSON.stringify(decoded, (_, value: unknown) => {
          if (typeof value === 'number') assert.ok(!Number.isNaN(value), 'a counter is NaN');
          return typeof value === 'bigint' ? `${value}` : value;
        });
        return decoded;
      },
    });
  });
}

const READERS: Readonly<Record<string, (lines: readonly string[]) => Reading>> = {
  'counter text': readCounters, 'kernel log': readKernelLog, log: readLog, conntrack: readConntrack, ftrace: readFtrace, host: readHost,
  'kernel options': readKernelConfig, 'drop filter': readDropFilter, rules: readRules,
};
for (const [name, read] of Object.entries(READERS)) {
  test(`${name}: records point into the text, each line is taken once`, () => {
    fuzzText({
      seeds: evidence, rounds: 500,
      decode: (text) => {
        const lines = text.split('\n');
        const { records, taken } = read(lines);
        assert.equal(new Set(taken).size, taken.length, 'a line is taken twice');
        for (const index of taken) assert.ok(Number.isInteger(index) && index >= 0 && index < lines.length, `line ${index} of ${lines.length}`);
        for (const record of records) assert.ok(record.line >= 1 && record.line <= lines.length, `record at line ${record.line} of ${lines.length}`);
        return records;
      },
    });
  });
}

test('single lines: times, entries, frames, listings', () => {
  const lines = [...new Set(evidence.flatMap((t) => t.split('\n')))].filter((l) => l !== '').filter((_, i) => i % 7 === 0);
  fuzzText({
    seeds: lines.slice(0, 60), rounds: 2000,
    decode: (line) => [wallTime(line), entryOf(line), symbolFrame(line), statOfConntrackS(line), parseSave(line)],
  });
  for (const tool of ['iptables-save', 'iptables -L', 'nft', 'nft -j'] as const) fuzzText({ seeds: evidence.slice(0, 6), rounds: 200, decode: (text) => droppersIn(tool, text) });
  for (const file of ['stat/nf_conntrack', 'snmp', 'netstat', 'snmp6', 'softnet_stat', 'dev', 'conntrack -S', 'ip -s link', 'nstat'] as const) fuzzText({ seeds: counters.slice(0, 6), rounds: 100, decode: (text) => countersIn(file, text) });
});

test('addresses: what is read lies within its width', () => {
  fuzzText({
    seeds: ['192.0.2.255', '10.0.0.0/8', '10.0.0.1-10.0.0.9', '2001:db8::ffff:192.0.2.1', 'fe80::/10', '::', '02:00:5e:10:00:ff', '0x10/0xff', '7'], rounds: 4000,
    decode: (text) => {
      const v4 = ip4Bits(text), v6 = ip6Bits(text), span = addressSpan(text), mark = markAndMask(text);
      assert.ok(v4 === undefined || (v4 >= 0 && v4 <= 0xffff_ffff), `${v4}`);
      assert.ok(v6 === undefined || (v6 >= 0n && v6 < 1n << 128n), `${v6}`);
      if (v4 !== undefined) assert.deepEqual(prefixSpan(v4, 32), exactly(v4));
      return [v4, v6, span, mark, macBits(text)];
    },
  });
});
