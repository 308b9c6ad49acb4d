import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callFilter, kernelFilter } from '../../src/sources/tracefs/filter.ts';

const fields = new Set(['common_pid', 'location', 'reason']);

test('the filter turns away what is normal, and only by fields that the event has', () => {
  const input = { self: 7, reasons: [3, 5], locations: [{ from: 0xffffffff81000000n, to: 0xffffffff81000040n }] };
  assert.equal(kernelFilter({ ...input, fields }), 'common_pid != 7 && reason != 3 && reason != 5 && (location < 0xffffffff81000000 || location >= 0xffffffff81000040)');
  assert.equal(kernelFilter({ ...input, fields: new Set(['common_pid', 'location']) }), 'common_pid != 7 && (location < 0xffffffff81000000 || location >= 0xffffffff81000040)');
  assert.equal(kernelFilter({ fields, reasons: [], locations: [] }), '');
  assert.equal(kernelFilter({ fields, reasons: [], locations: [{ from: 9n, to: 9n }] }), '', 'an empty range filters nothing');
});

test('a filter is never longer than the kernel takes: what does not fit is seen instead', () => {
  const locations = Array.from({ length: 500 }, (_, i) => ({ from: 0xffffffff81000000n + BigInt(i) * 64n, to: 0xffffffff81000020n + BigInt(i) * 64n }));
  const text = kernelFilter({ fields, self: 1, reasons: [3], locations });
  assert.ok(text.length < 4096 && text.length > 3000);
  assert.ok(text.endsWith(')') && text.startsWith('common_pid != 1 && reason != 3 && ('));
});

test('calls: failures that a program sees; for calls on any file only errnos of the network', () => {
  const matches = (filter: string, ret: number): boolean => {
    assert.match(filter, /^[ret!=<>&|() 0-9-]+$/);
    return new Function('ret', `return ${filter}`)(ret) as boolean; // the same syntax, for this little
  };
  for (const [ret, send, write] of [[-1, true, true], [-105, true, true], [-113, true, true], [-11, false, false], [-115, false, false], [-512, false, false], [-9, true, false], [-32, true, false], [5, false, false], [0, false, false]] as const) {
    assert.equal(matches(callFilter('sendto'), ret), send, `sendto ${ret}`);
    assert.equal(matches(callFilter('write'), ret), write, `write ${ret}`);
  }
  assert.ok(callFilter('sendto', 7).endsWith(' && common_pid != 7'));
});
