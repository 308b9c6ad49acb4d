import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { analyse } from '../../src/app/analyze/judge.ts';
import { readEvidence } from '../../src/app/analyze/read.ts';
import { traceDatEvidence } from '../../src/app/analyze/trace-dat.ts';
import { recogniseForeign } from '../../src/app/foreign.ts';
import { judged } from '../../src/app/judged.ts';
import { decodeTraceDat } from '../../src/formats/trace-dat.ts';

/*
 * One capture of skb:kfree_skb with stacks on 6.18, as trace-cmd 3.1.6 writes it: version 6, version 7, and version 7
 * packed with zstd. `trace-cmd report` prints 208 drops of each.
 */
const folder = new URL('../../fixtures/foreign/', import.meta.url).pathname;
const six = new Uint8Array(gunzipSync(readFileSync(`${folder}v6.dat.gz`)));
const seven = new Uint8Array(gunzipSync(readFileSync(`${folder}v7.dat.gz`)));
const packed = new Uint8Array(readFileSync(`${folder}v7-zstd.dat`));
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const none = (): undefined => undefined;

for (const [name, bytes, kind] of [['version 6', six, 6], ['version 7', seven, 7], ['version 7, zstd', packed, 7]] as const) {
  test(`${name}: what trace-cmd report shows`, () => {
    const foreign = recogniseForeign(bytes);
    assert.equal(foreign?.kind, `trace.dat version ${kind}`);
    assert.ok(!foreign.lacks.some((l) => l.startsWith('trace.dat:')), foreign.lacks.join());
    const { exported } = judged(foreign.records, ALL);
    assert.equal(exported.events.length, 208);
    const first = exported.events[0]!.event;
    assert.ok(first.kind === 'drop');
    // python3-22178 [000]  8887.945671: kfree_skb: skbaddr=0xffff8882f5390700 … protocol=2048 location=0xffffffff81f657b8 reason: NETFILTER_DROP
    assert.deepEqual([first.task.comm, first.task.tid, first.cpu, first.time / 1000n, first.skb, first.protocol, first.place.address, first.reason.name], ['python3', 22178, 0, 8887945670n, 0xffff8882f5390700n, 2048, 0xffffffff81f657b8n, 'NETFILTER_DROP']);
    assert.ok(first.stack.length > 3 && first.stack.some((f) => f.address === 0xffffffff81ebe6ecn || f.address === 0xffffffff81ebb3f1n));
    assert.equal(exported.incidents.find((i) => i.cause.id === 'socket.no-listener')?.count, 8);
  });
}

test('without its unpacker it says so', () => {
  const dat = decodeTraceDat(packed, none);
  assert.equal(dat.status, 'cut');
  assert.match(dat.why ?? '', /packed with zstd/);
});

test('cut or changed anywhere: what is there, and never more', () => {
  for (const whole of [six, seven, packed]) {
    for (let i = 1; i < 40; i++) {
      const cut = recogniseForeign(whole.subarray(0, Math.floor((whole.length * i) / 40)));
      assert.ok(cut === undefined || cut.lacks.some((l) => l.startsWith('trace.dat:')), `${i}`);
    }
  }
  let seed = 5;
  for (let i = 0; i < 60; i++) {
    const bytes = Uint8Array.from(packed);
    for (let k = 0; k < 20; k++) bytes[10 + ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % (bytes.length - 10))] = seed >>> 24;
    const foreign = recogniseForeign(bytes);
    assert.ok(foreign === undefined || foreign.records[0]?.record === 'host');
  }
  assert.equal(recogniseForeign(new Uint8Array([1, 2, 3])), undefined);
});

/* trace-cmd 3.1.6 in a guest with Debian's 6.1: the main buffer has sched_process_exec, two instances (-B) have skb:kfree_skb; of the symbols only those that matter. */
const SIX_INSTANCES = new Uint8Array(gunzipSync(readFileSync(`${folder}v6-instances.dat.gz`)));
const SEVEN_INSTANCES = new Uint8Array(readFileSync(`${folder}v7-zstd-instances.dat`));

for (const [name, bytes, drops] of [['version 6', SIX_INSTANCES, 4], ['version 7', SEVEN_INSTANCES, 3]] as const) {
  test(`instances, ${name}: each is a file of its own for analyze, and what both took counts once`, () => {
    const { files, why } = traceDatEvidence('t.dat', bytes);
    const kinds = files.map((f) => [f.name, f.parts.flatMap((p) => p.records).filter((r) => r.kind === 'trace').map((r) => r.event)] as const);
    // trace-cmd report prints these, in these buffers
    assert.deepEqual(kinds.map(([n, events]) => [n, new Set(events).size, events.length]), [['t.dat', 1, 1], ['t.dat (twin)', 1, drops], ['t.dat (drops)', 1, drops]]);
    assert.deepEqual(why, []);
    const first = files[2]!.parts[0]!.records.find((r) => r.kind === 'trace');
    assert.deepEqual([first?.tool, first?.fields.get('location')?.replace(/\+.*/, ''), first?.stack.length], ['trace.dat', 'ip6_mc_input', name === 'version 6' ? 19 : 11]);
    const { incidents, reconstruction } = analyse(files);
    assert.equal(incidents.reduce((sum, i) => sum + i.count, 0), drops);
    assert.equal(reconstruction.facts.kernel.release, '6.1.0-56-cloud-amd64');
    assert.ok(incidents[0]?.evidence.some((e) => e.source === 'told by' && e.text.startsWith('t.dat (')), JSON.stringify(incidents[0]?.evidence));
    assert.ok(recogniseForeign(bytes)?.lacks.some((l) => l.includes('it holds 3 buffers')));
  });
}

/** The same file packed with zlib, as `trace-cmd record --compression zlib` packs it (compress2): Debian's trace-cmd is built without. */
function withZlib(from: Uint8Array): Uint8Array {
  const out: Buffer[] = [];
  let length = 0;
  const put = (...parts: readonly Uint8Array[]): number => {
    const at = length;
    for (const p of parts) {
      out.push(Buffer.from(p));
      length += p.length;
    }
    return at;
  };
  const b = Buffer.from(from);
  const u32 = (n: number): Buffer => Buffer.from(Uint32Array.of(n).buffer), u64 = (n: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const algorithm = b.indexOf('zstd\0'), first = algorithm + 5 + b.subarray(algorithm + 5).indexOf(0) + 1;
  const plainOf = (at: number): Buffer => zstdDecompressSync(b.subarray(at + 8, at + 8 + b.readUInt32LE(at)));
  const packed = (plain: Uint8Array): Buffer => {
    const z = deflateSync(plain);
    return Buffer.concat([u32(z.length), u32(plain.length), z]);
  };
  const head = Buffer.concat([b.subarray(0, algorithm), Buffer.from('zlib\x001.2.13\0')]);
  put(head, u64(0));
  const section = (at: number): number => {
    const body = (b.readUInt16LE(at + 2) & 1) === 1 ? packed(plainOf(at + 16)) : b.subarray(at + 16, at + 16 + Number(b.readBigUInt64LE(at + 8)));
    return put(b.subarray(at, at + 8), u64(body.length), body);
  };
  const options = (at: number): number => {
    const plain = Buffer.from((b.readUInt16LE(at + 2) & 1) === 1 ? plainOf(at + 16) : b.subarray(at + 16, at + 16 + Number(b.readBigUInt64LE(at + 8))));
    for (let o = 0; o + 6 <= plain.length;) {
      const id = plain.readUInt16LE(o), size = plain.readUInt32LE(o + 2), body = plain.subarray(o + 6, o + 6 + size);
      if (id >= 16 && id <= 21) body.writeBigUInt64LE(BigInt(section(Number(body.readBigUInt64LE(0)))), 0);
      if (id === 3) {
        const where = Number(body.readBigUInt64LE(0));
        body.writeBigUInt64LE(BigInt(put(b.subarray(where, where + 16))), 0);
        let at2 = body.indexOf(0, 8) + 1;
        at2 = body.indexOf(0, at2) + 1;
        const cpus = body.readUInt32LE(at2 + 4);
        for (let i = 0, p = at2 + 8; i < cpus; i++, p += 20) {
          const offset = Number(body.readBigUInt64LE(p + 4)), count = Number(body.readBigUInt64LE(p + 12)) === 0 ? 0 : b.readUInt32LE(offset);
          const blocks: Buffer[] = [];
          for (let k = 0, q = offset + 4; k < count; k++, q += 8 + b.readUInt32LE(q)) blocks.push(packed(plainOf(q)));
          const body2 = Buffer.concat(blocks);
          body.writeBigUInt64LE(BigInt(put(u32(count), body2)), p + 4);
          body.writeBigUInt64LE(BigInt(body2.length), p + 12);
        }
      }
      if (id === 0) {
        if (size >= 8 && body.readBigUInt64LE(0) !== 0n) body.writeBigUInt64LE(BigInt(options(Number(body.readBigUInt64LE(0)))), 0);
        break;
      }
      o += 6 + size;
    }
    const body = packed(plain);
    return put(b.subarray(at, at + 2), Buffer.from([1, 0]), b.subarray(at + 4, at + 8), u64(body.length), body);
  };
  const at = options(Number(b.readBigUInt64LE(first)));
  const whole = Buffer.concat(out);
  whole.writeBigUInt64LE(BigInt(at), head.length);
  return new Uint8Array(whole);
}

test('version 7 packed with zlib: the same events; one damaged chunk costs what is behind it', () => {
  for (const zstd of [packed, SEVEN_INSTANCES]) {
    const zlib = withZlib(zstd);
    const a = recogniseForeign(zstd), b = recogniseForeign(zlib);
    assert.deepEqual(b?.lacks, a?.lacks);
    assert.deepEqual(b?.records.map((r) => r.record), a?.records.map((r) => r.record));
    assert.deepEqual(traceDatEvidence('t', zlib), traceDatEvidence('t', zstd));
    for (let i = 1; i < 30; i++) recogniseForeign(zlib.subarray(0, Math.floor((zlib.length * i) / 30)));
    const damaged = Uint8Array.from(zlib);
    damaged[damaged.length >> 1]! ^= 0xff;
    recogniseForeign(damaged);
  }
  const whole = decodeTraceDat(withZlib(packed), (algorithm, bytes) => (algorithm === 'zlib' ? inflateSync(bytes) : undefined));
  assert.equal(whole.status, 'complete', whole.why);
  let calls = 0;
  const late = decodeTraceDat(withZlib(packed), (_, bytes) => (++calls > 6 ? undefined : inflateSync(bytes)));
  assert.equal(late.status, 'cut');
});

test('a folder: a trace.dat is read beside texts, what of it is not is said; archives and perf.data are told by their first bytes', () => {
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-analyze-'));
  try {
    writeFileSync(join(dir, 'a.dat'), SEVEN_INSTANCES);
    writeFileSync(join(dir, 'cut.dat'), SIX_INSTANCES.subarray(0, 20_000));
    writeFileSync(join(dir, 'sos.tar.xz'), Buffer.from('fd377a585a000004', 'hex'));
    writeFileSync(join(dir, 'perf.data'), 'PERFILE2\x68\0\0\0');
    writeFileSync(join(dir, 'nft.txt'), 'table inet fw {\n\tchain in {\n\t\ttype filter hook input priority filter; policy accept;\n\t\tudp dport 9 counter packets 4 bytes 10 drop\n\t}\n}\n');
    const { files, unreadable } = readEvidence([dir]);
    assert.deepEqual(files.map((f) => f.name), ['a.dat', 'a.dat (twin)', 'a.dat (drops)', 'cut.dat', 'nft.txt']);
    assert.match(unreadable.find((u) => u.path === 'cut.dat')?.why ?? '', /ends|past its end|middle/);
    assert.match(unreadable.find((u) => u.path === 'sos.tar.xz')?.why ?? '', /unpack/);
    assert.match(unreadable.find((u) => u.path === 'perf.data')?.why ?? '', /perf script/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
