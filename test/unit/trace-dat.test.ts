import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
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
