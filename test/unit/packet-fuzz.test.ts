import { test } from 'node:test';
import { decodePacket } from '../../src/formats/packet.ts';
import { flowOf } from '../../src/model/flow.ts';
import { fuzzBytes } from '../fuzz/fuzz.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

test('packets: any bytes at any offsets are decoded without a throw, within the bytes', () => {
  const seeds = [
    hex('ffffffffffff020000000001 8100000a 0800 4500002a000040004011b8bf0a0000010a000002 003512b500160000 0800000000002a00 020000000001020000000002 0800'),
    hex('ffffffffffff020000000001 86dd 6000000000200040 fd000000000000000000000000000001 fd000000000000000000000000000002 2b00010400000000 2c00000000000000 06000001deadbeef 00500051000000010000000250020000abcd0000'),
    hex('ffffffffffff020000000001 0800 4600003c00004000 4001b8bf 0a0000010a000002 94040000 0300fcff00000000 4500001c00004000 40110000 0a0000020a000001 0035003600080000'),
    hex('ffffffffffff020000000001 0800 4500003c00004000 402fb8bf 0a0000010a000002 30006558 0000002a 00000001 020000000001020000000002 0800 450000140000400040110000 0a0000010a000002'),
  ];
  for (const protocol of [0, 0x0800, 0x86dd, 0x0806, 0x8100]) {
    for (const network of [undefined, 14, 18]) {
      fuzzBytes({
        seeds, rounds: 300, seed: protocol + (network ?? 1),
        decode: (bytes) => {
          const at = { mac: 0, protocol, length: bytes.length - 14, ...(network === undefined ? {} : { network }) };
          const packet = decodePacket(bytes, at);
          return [packet, flowOf(packet), decodePacket(bytes, { protocol, network: (bytes[3] ?? 0) - 8, transport: bytes[5] ?? 0 })];
        },
      });
    }
  }
});
