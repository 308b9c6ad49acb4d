import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cleanMappings } from '../../src/sources/sys/own-code.ts';

const mapping = (head: string, numbers: Readonly<Record<string, number>> = {}): string =>
  `${head}\nSize:               4096 kB\n${Object.entries({ Rss: 2048, Private_Clean: 2048, Private_Dirty: 0, Anonymous: 0, Swap: 0, ...numbers }).map(([k, v]) => `${k}:${String(v).padStart(12)} kB\n`).join('')}VmFlags: rd ex mr mw me\n`;
const NODE = '00400000-00800000 r-xp 00001000 fe:00 1234                       /usr/bin/node';

test('only what is the file itself, word for word, may leave memory', () => {
  const clean = mapping(NODE);
  assert.deepEqual(cleanMappings(clean), [{ from: 0x400000n, to: 0x800000n, path: '/usr/bin/node', resident: 2 << 20 }]);
  assert.equal(cleanMappings(clean + mapping('00900000-00a00000 r--p 00002000 fe:00 1234    /a file (deleted)')).length, 2);
  for (const written of [{ Private_Dirty: 4 }, { Anonymous: 4 }, { Swap: 4 }, { Rss: 40 }]) assert.deepEqual(cleanMappings(mapping(NODE, written)), [], JSON.stringify(written));
  for (const head of ['00400000-00800000 rw-p 00001000 fe:00 1234 /usr/bin/node', '00400000-00800000 r--s 00000000 00:0e 1063 anon_inode:bpf-map', '00400000-00800000 rwxp 00000000 00:00 0', '00400000-00800000 r--s 00001000 fe:00 1234 /shared', '7fff-8fff r-xp 00000000 00:00 0 [vdso]']) assert.deepEqual(cleanMappings(mapping(head)), [], head);
  assert.deepEqual(cleanMappings(clean.replace(/^Swap:.*\n/m, '')), [], 'what is not told is not believed');
  assert.deepEqual(cleanMappings(''), []);
});

test('a process that let go of its code goes on, with less in memory', { skip: process.platform === 'linux' ? false : 'smaps is Linux\'s' }, () => {
  assert.ok(cleanMappings(readFileSync('/proc/self/smaps', 'utf8')).some((m) => m.path.endsWith('/node')));
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', `
    import { readFileSync } from 'node:fs';
    import { letGoOfCode } from '${new URL('../../src/sources/sys/own-code.ts', import.meta.url).href}';
    const file = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const before = file();
    letGoOfCode();
    const after = file();
    let sum = 0;
    for (const n of JSON.parse('[1,2,3]').map((x) => x ** 2)) sum += n;
    console.log(JSON.stringify({ before, after, sum, regexp: 'a-b'.replace(/-/, '+') }));`], { encoding: 'utf8' });
  const { before, after, ...rest } = JSON.parse(stdout) as { before: number; after: number };
  assert.deepEqual(rest, { sum: 14, regexp: 'a+b' });
  assert.ok(after < before * 0.7, `${before} kB, then ${after} kB`);
});
