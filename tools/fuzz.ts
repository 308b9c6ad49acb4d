/**
 * npm run fuzz -- [--minutes N] [--only NAME] [--seed N]: every decoder by turns, for N minutes (10 unless told), in a thread that is
 * ended when an input hangs. What goes wrong is kept in fixtures/fuzz and tried by `npm test` ever after.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { keep } from '../test/fuzz/corpus.ts';
import { fuzzTarget } from '../test/fuzz/run.ts';
import { TARGETS } from '../test/fuzz/targets.ts';

const HANG_MS = 20_000;
const TURN_MS = 4_000;
interface Turn {
  readonly target: number;
  readonly seed: number;
  /** [inputs begun, length, 1 for text], then the input itself. */
  readonly shared: SharedArrayBuffer;
}
interface Turned {
  readonly tried: number;
  readonly forms: number;
  readonly faults: readonly { readonly input: Uint8Array | string; readonly what: string }[];
}

if (isMainThread) await lead();
else work(workerData as Turn);

function work({ target, seed, shared }: Turn): void {
  const head = new Int32Array(shared, 0, 4), body = new Uint8Array(shared, 16);
  const found = TARGETS[target];
  if (found === undefined) return;
  const trying = (input: Uint8Array | string): void => {
    const bytes = typeof input === 'string' ? Buffer.from(input, 'utf16le') : input;
    body.set(bytes.subarray(0, body.length));
    Atomics.store(head, 1, Math.min(bytes.length, body.length));
    Atomics.store(head, 2, typeof input === 'string' ? 1 : 0);
    Atomics.add(head, 0, 1);
  };
  parentPort?.postMessage(fuzzTarget({ target: found, seed, inputs: Infinity, ms: TURN_MS, limit: 3_000, trying }));
}

async function lead(): Promise<void> {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, only: { type: 'string' }, seed: { type: 'string', default: String(Date.now() >>> 0) } } });
  const wanted = TARGETS.map((t, i) => ({ ...t, i })).filter((t) => values.only === undefined || t.name.includes(values.only));
  const end = performance.now() + Number(values.minutes) * 60_000;
  const tried = new Map<string, number>(), forms = new Map<string, number>();
  const seen = new Set<string>();
  let bugs = 0, peak = 0;
  const bug = (target: string, what: string, input: Uint8Array | string): void => {
    const key = `${target} ${what.replace(/\d+/g, 'N').slice(0, 160)}`;
    if (seen.has(key)) return;
    seen.add(key);
    bugs += 1;
    console.log(`${target}: ${what}\n  kept as ${keep(target, input)}`);
  };
  console.log(`seed ${values.seed}`);
  for (let round = 0; performance.now() < end; round++)
    for (const target of wanted) {
      if (performance.now() >= end) break;
      const turned = await turn({ target: target.i, seed: (Number(values.seed) + round * 7919 + target.i) | 0, shared: new SharedArrayBuffer(16 + (1 << 19)) });
      peak = Math.max(peak, process.memoryUsage.rss());
      tried.set(target.name, (tried.get(target.name) ?? 0) + turned.tried);
      forms.set(target.name, Math.max(forms.get(target.name) ?? 0, turned.forms));
      for (const { input, what } of turned.faults) bug(target.name, what, input);
    }
  for (const [name, n] of tried) console.log(`${name.padEnd(18)} ${String(n).padStart(10)} inputs, ${forms.get(name)} kinds of answers`);
  console.log(`${[...tried.values()].reduce((a, b) => a + b, 0)} inputs, ${bugs} bugs, ${(peak / 1e6).toFixed(0)} MB at most`);
  process.exitCode = bugs === 0 ? 0 : 1;
}

/** One decoder for a few seconds, in a thread with bounded memory. */
function turn(data: Turn): Promise<Turned> {
  return new Promise((done) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data, resourceLimits: { maxOldGenerationSizeMb: 1024 } });
    const head = new Int32Array(data.shared, 0, 4);
    const current = (): Uint8Array | string => {
      const bytes = new Uint8Array(data.shared, 16, head[1]).slice();
      return head[2] === 1 ? Buffer.from(bytes).toString('utf16le') : bytes;
    };
    const failed = (what: string): void => {
      clearInterval(watch);
      void worker.terminate();
      done({ tried: head[0] ?? 0, forms: 0, faults: [{ input: current(), what }] });
    };
    let before = -1, since = performance.now();
    const watch = setInterval(() => {
      if (head[0] !== before) [before, since] = [head[0] ?? 0, performance.now()];
      else if (head[0] !== 0 && performance.now() - since > HANG_MS) failed(`hangs for ${HANG_MS} ms`);
    }, 500);
    worker.on('message', (result: Turned) => {
      clearInterval(watch);
      done(result);
    });
    worker.on('error', (error) => failed(`ends its thread: ${error.message}`));
  });
}
