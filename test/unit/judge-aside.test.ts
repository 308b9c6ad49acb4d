import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judgeAside } from '../../src/app/judge-aside.ts';

const recording = (): Uint8Array => new Uint8Array(readFileSync(new URL('../../fixtures/recordings/no-listener.whydrop', import.meta.url)));
const never = new AbortController().signal;

test('a recording is judged in another thread, which tells how far it is; this one goes on meanwhile', async () => {
  const shares: number[] = [];
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 5);
  const judged = await judgeAside('no-listener.whydrop', recording(), (share) => shares.push(share), never);
  clearInterval(turning);
  assert.ok(!('error' in judged), 'error' in judged ? judged.error : '');
  const found = judged.state.incidents.find((i) => i.cause.id === 'socket.no-listener');
  assert.ok(found !== undefined, judged.state.incidents.map((i) => i.cause.id).join());
  assert.ok(judged.details.get(found.id)!.stacks.length > 0);
  assert.ok(shares.length > 0 && shares.every((s, i) => s > (shares[i - 1] ?? 0) && s <= 1), shares.join(' '));
  assert.ok(turns > 3, `${turns} turns of the event loop while it was judged`);
});

test('what is no recording is refused with words; who gives up waits for nothing', async () => {
  assert.deepEqual(await judgeAside('x', Buffer.from('hello'), () => undefined, never), { error: 'x is not a recording of whydrop (whydrop record makes one)' });
  const stop = new AbortController();
  const judging = judgeAside('late', recording(), () => undefined, stop.signal);
  stop.abort();
  assert.deepEqual(await judging, { error: 'late: cancelled' });
});
