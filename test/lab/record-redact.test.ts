import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const NS = 'wdxred';
const skip = process.getuid?.() !== 0 ? 'needs root' : false;

test('record --redact: the file that is left has no payload, names or command lines', { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-redact-'));
  const path = join(dir, 'a.whydrop');
  spawnSync('ip', ['netns', 'add', NS]);
  try {
    spawnSync('ip', ['-n', NS, 'link', 'set', 'lo', 'up']);
    const child = spawn(process.execPath, [`${root}src/app/main.ts`, 'record', '--netns', NS, '-o', path, '--for', '5s', '--redact', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise<number | null>((done) => child.once('exit', done));
    let said = '';
    child.stderr.on('data', (b: Buffer) => (said += b.toString()));
    await new Promise<void>((done, fail) => {
      let out = '';
      child.stdout.on('data', (b: Buffer) => {
        out += b.toString();
        if (out.includes('"armed"')) done();
      });
      child.once('exit', () => fail(new Error(said)));
    });
    const send = `const s=require('dgram').createSocket('udp4');let n=0;const t=setInterval(()=>{s.send('top secret words',7777,'127.0.0.1');if(++n===8){clearInterval(t);setTimeout(()=>s.close(),50)}},30)`;
    spawnSync('ip', ['netns', 'exec', NS, process.execPath, '-e', send]);
    assert.equal(await ended, 0, said);
    assert.match(said, /a scan found none of the originals/);
    const { records } = readRecording(readFileSync(path));
    const all = Buffer.concat(records.map((r) => Buffer.from(JSON.stringify(r, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v instanceof Uint8Array ? Buffer.from(v).toString('latin1') : v)))));
    for (const secret of ['top secret', NS, 'createSocket']) assert.ok(!all.includes(secret), secret);
    const { exported } = judged(records, { pid: [], protocol: [], port: [], address: [], cause: [] });
    assert.equal(exported.incidents.find((i) => i.cause.id === 'socket.no-listener')?.count, 8);
  } finally {
    spawnSync('ip', ['netns', 'del', NS]);
    rmSync(dir, { recursive: true, force: true });
  }
});
