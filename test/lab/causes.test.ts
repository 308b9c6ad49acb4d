import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after, describe, test } from 'node:test';
import { labFolder, labPlace, notPossible, readFaults, runStep, type Fault, type LabPlace } from '../../src/app/lab-faults.ts';
import { causes } from '../../src/causes/index.ts';
import type { Incident } from '../../src/model/incident.ts';
import type { StreamLine } from '../../src/app/stream.ts';

const WHYDROP = new URL('../../whydrop', import.meta.url).pathname;
const folder = labFolder() ?? '';
const only = (process.env['LAB_ONLY'] ?? '').split(',').filter((c) => c !== '');
const faults = readFaults(folder).filter((f) => only.length === 0 || only.includes(f.cause));
/** What healthy traffic shows anyway and what has no name: they are not made, they are what the look-alikes must be. */
const NOT_FAULTS = /^normal\.|^unknown$/;

spawnSync(WHYDROP, ['--version']); // bundled before anything is timed

interface Watch {
  end(): Promise<readonly Incident[]>;
}

async function watch(...netns: readonly string[]): Promise<Watch> {
  const child = spawn(WHYDROP, ['watch', '--json', '--for', '60s', ...netns.flatMap((n) => ['--netns', n])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let rest = '', errors = '';
  let final: readonly Incident[] | undefined;
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const closed = new Promise<void>((done) => child.once('close', () => done()));
  await new Promise<void>((done, fail) => {
    child.once('close', () => fail(new Error(`the watch ended: ${errors}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      rest += chunk.toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as StreamLine;
        if (line.type === 'armed') done();
        if (line.type === 'summary') final = line.incidents;
      }
    });
  });
  return {
    end: async () => {
      child.kill('SIGINT');
      await closed;
      assert.ok(final !== undefined, `no summary: ${errors}`);
      return final;
    },
  };
}

const brief = (i: Incident): string => `${i.cause.id} x${i.count} [${i.culprit.text}] ${i.where.reason}@${i.where.symbol} ${i.victims.map((v) => `${v.syscall ?? ''} ${v.errno ?? ''}`).join()} :: ${i.remedies.map((r) => r.command ?? r.text).join(' | ')}`;
const step = async (fault: Fault, name: Parameters<typeof runStep>[2], place: LabPlace): Promise<void> => {
  const { status, stdout, stderr } = await runStep(folder, fault.cause, name, place);
  assert.equal(status, 0, `${fault.cause} ${name}: ${stdout} ${stderr}`);
};

/** Fault and look-alike live side by side, each in namespaces of its own; one watch sees both. */
async function judged(fault: Fault, guilty: LabPlace, innocent: LabPlace): Promise<void> {
  const set = await Promise.allSettled([step(fault, 'setup', guilty), step(fault, 'innocent_setup', innocent)]);
  for (const s of set) if (s.status === 'rejected') throw s.reason;
  const netns = (place: LabPlace): string => `${place.id}-${fault.watch}`;
  const running = await watch(netns(guilty), netns(innocent));
  await Promise.all([runStep(folder, fault.cause, 'traffic', guilty), runStep(folder, fault.cause, 'innocent', innocent)]);
  await new Promise((done) => setTimeout(done, 1_200));
  const incidents = await running.end();
  const at = (place: LabPlace): readonly Incident[] => incidents.filter((i) => i.where.netns.name?.startsWith(place.id) === true && i.severity !== 'info');
  if (process.env['LAB_SHOW'] !== undefined) for (const i of incidents) console.log(`${i.severity} ${i.where.netns.name}: ${brief(i)}`);
  const [top] = at(guilty);
  assert.ok(top !== undefined, 'nothing was reported');
  assert.equal(top.cause.id, fault.cause, brief(top));
  assert.ok(top.culprit.text.length > 0 && top.culprit.kind !== 'unknown', 'the culprit is named');
  assert.ok(top.remedies.length > 0, 'a remedy is given');
  assert.deepEqual(at(innocent).map(brief), [], 'the look-alike is quiet');
  if (fault.remedy === 'program') return;
  const command = top.remedies.find((r) => r.command !== undefined)?.command;
  assert.ok(command !== undefined, `no remedy with a command: ${brief(top)}`);
  const applied = spawnSync('bash', ['-c', command], { encoding: 'utf8', timeout: 15_000 });
  await new Promise((done) => setTimeout(done, 200));
  const { status, stdout, stderr } = await runStep(folder, fault.cause, 'works', guilty);
  assert.equal(status, 0, `after ${command} (exit ${applied.status} ${applied.stderr}): ${stdout} ${stderr}`);
}

const places: (readonly [Fault, LabPlace])[] = [];
after(async () => {
  for (const [fault, place] of places) await runStep(folder, fault.cause, 'teardown', place);
});

test('every cause has a fault in the lab', { skip: only.length > 0 }, () => {
  assert.deepEqual(causes.map((c) => c.id).filter((id) => !NOT_FAULTS.test(id) && !faults.some((f) => f.cause === id)), []);
});

describe('a fault of each cause: verdict, culprit, a remedy that works, a look-alike that is quiet', { concurrency: 3 }, () => {
  for (const [i, fault] of faults.entries()) {
    test(fault.cause, { timeout: 90_000 }, async (t) => {
      const prefix = `wdl${process.pid.toString(36)}${i.toString(36)}`;
      const guilty = labPlace(`${prefix}g`), innocent = labPlace(`${prefix}i`);
      const not = await notPossible(folder, fault, guilty);
      if (not !== undefined) {
        t.skip(not);
        return;
      }
      places.push([fault, guilty], [fault, innocent]);
      try {
        await judged(fault, guilty, innocent);
      } finally {
        await Promise.all([runStep(folder, fault.cause, 'teardown', guilty), runStep(folder, fault.cause, 'teardown', innocent)]);
      }
    });
  }
});
