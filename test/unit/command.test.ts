import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { createCommands, programFinder } from '../../src/sources/command.ts';
import { isUnavailable, unavailableText } from '../../src/model/unavailable.ts';

let folder = '';
const script = (name: string, text: string): void => {
  writeFileSync(`${folder}/${name}`, `#!/bin/sh\n${text}\n`);
  chmodSync(`${folder}/${name}`, 0o755);
};
const find = (program: string): string | undefined => (existsSync(`${folder}/${program}`) ? `${folder}/${program}` : undefined);
const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
const until = async (what: () => boolean, ms = 2_000): Promise<boolean> => {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    if (what()) return true;
    await new Promise((go) => setTimeout(go, 5));
  }
  return what();
};

before(() => {
  folder = mkdtempSync(`${tmpdir()}/wdp-command-`);
  script('echoes', 'for word in "$@"; do printf "<%s>" "$word"; done');
  script('environment', 'env | sort');
  script('hangs', `echo $$ > ${folder}/hangs.pid; sleep 60 & echo $! > ${folder}/hangs.child; wait`);
  script('floods', 'while :; do echo 0123456789012345678901234567890123456789; done');
  script('refuses', 'echo; echo "Error: no such table" >&2; echo "second line" >&2; exit 3');
  script('denied', 'echo "nft: Operation not permitted (you must be root)" >&2; exit 1');
  script('lacks', 'echo "RTNETLINK answers: Operation not supported" >&2; exit 2');
  script('dies', 'kill -9 $$');
  script('reads', 'cat; echo done');
  script('slow', `: > ${folder}/slow-running.$$; sleep 0.1; ls ${folder}/slow-running.* | wc -l; rm ${folder}/slow-running.$$`);
  writeFileSync(`${folder}/not-executable`, 'x');
});
after(() => rmSync(folder, { recursive: true }));

test('arguments reach the program as they are: no shell in between', async () => {
  const commands = createCommands(find);
  assert.equal(await commands.output({ program: 'echoes', args: ['a b', '$(id)', '`id`', ';', "'", '\u001b[31m', ''] }), "<a b><$(id)><`id`><;><'><\u001b[31m><>");
  commands.close();
});

test('the environment of the user does not reach the program', async () => {
  process.env['WDP_SECRET'] = '1';
  const commands = createCommands(find);
  const text = await commands.output({ program: 'environment', args: [] });
  delete process.env['WDP_SECRET'];
  assert.ok(typeof text === 'string');
  assert.match(text, /^LC_ALL=C$/m);
  assert.doesNotMatch(text, /WDP_SECRET|HOME=/);
  commands.close();
});

test('standard input is empty, not the terminal', async () => {
  const commands = createCommands(find);
  assert.equal(await commands.output({ program: 'reads', args: [] }), 'done\n');
  commands.close();
});

test('a program that hangs is ended with all that it started', async () => {
  const commands = createCommands(find);
  const began = Date.now();
  const result = await commands.output({ program: 'hangs', args: [], timeLimit: 300 });
  assert.ok(isUnavailable(result));
  assert.equal(result.unavailable, 'timeout');
  assert.equal(unavailableText(result), 'running hangs: no end within 300 ms');
  assert.ok(Date.now() - began < 2_000);
  const pids = ['pid', 'child'].map((f) => Number(readFileSync(`${folder}/hangs.${f}`, 'utf8')));
  assert.ok(await until(() => !pids.some(alive)), `still alive: ${pids.filter(alive).join(' ')}`);
  commands.close();
});

test('too much output ends the program', async () => {
  const commands = createCommands(find);
  const result = await commands.output({ program: 'floods', args: [], outputLimit: 100_000 });
  assert.ok(isUnavailable(result));
  assert.equal(result.unavailable, 'too-large');
  commands.close();
});

test('each way to fail has its code', async () => {
  const commands = createCommands(find);
  const failed = await commands.output({ program: 'refuses', args: ['x'] });
  assert.deepEqual(failed, { unavailable: 'failed', what: 'running refuses x', why: 'Error: no such table' });
  const denied = await commands.output({ program: 'denied', args: [] });
  assert.ok(isUnavailable(denied) && denied.unavailable === 'permission' && denied.fix !== undefined);
  const lacks = await commands.output({ program: 'lacks', args: [] });
  assert.ok(isUnavailable(lacks) && lacks.unavailable === 'unsupported');
  const dies = await commands.output({ program: 'dies', args: [] });
  assert.deepEqual(dies, { unavailable: 'failed', what: 'running dies', why: 'ended by SIGKILL' });
  const none = await commands.output({ program: 'nft', args: ['list', 'ruleset'] });
  assert.deepEqual(none, { unavailable: 'missing-program', what: 'running nft list ruleset', why: 'not found in PATH', fix: 'apt-get install nftables' });
  const gone = await createCommands(() => '/nonexistent/program').output({ program: 'ip', args: [] });
  assert.ok(isUnavailable(gone) && gone.unavailable === 'missing-program' && gone.fix === 'apt-get install iproute2');
  const plain = await createCommands(() => `${folder}/not-executable`).output({ program: 'ip', args: [] });
  assert.ok(isUnavailable(plain) && plain.unavailable === 'permission');
  commands.close();
});

test('a status other than 0 is a result for who asks for it', async () => {
  const commands = createCommands(find);
  const result = await commands.run({ program: 'refuses', args: [] });
  assert.deepEqual(result, { status: 3, stdout: '\n', stderr: 'Error: no such table\nsecond line\n' });
  commands.close();
});

test('a program that hung is not waited for a second time; with other arguments it is asked', async () => {
  const commands = createCommands(find);
  const first = await commands.output({ program: 'hangs', args: ['a'], timeLimit: 200 });
  const began = performance.now();
  assert.deepEqual(await commands.output({ program: 'hangs', args: ['a'], timeLimit: 200 }), first);
  assert.ok(performance.now() - began < 100);
  assert.ok(isUnavailable(await commands.output({ program: 'hangs', args: ['b'], timeLimit: 200 })));
  assert.ok(performance.now() - began >= 200);
  commands.close();
});

test('never more at once than allowed, and all come to their turn', async () => {
  const commands = createCommands(find, 2);
  const results = await Promise.all(Array.from({ length: 7 }, () => commands.output({ program: 'slow', args: [] })));
  assert.equal(results.length, 7);
  for (const text of results) assert.ok(typeof text === 'string' && Number(text) >= 1 && Number(text) <= 2, String(text));
  commands.close();
});

test('closing ends children and answers those that wait', async () => {
  const commands = createCommands(find, 1);
  rmSync(`${folder}/hangs.child`, { force: true });
  const running = commands.output({ program: 'hangs', args: [] });
  const waiting = commands.output({ program: 'hangs', args: [] });
  assert.ok(await until(() => existsSync(`${folder}/hangs.child`) && readFileSync(`${folder}/hangs.child`, 'utf8') !== ''));
  commands.close();
  for (const result of await Promise.all([running, waiting])) assert.ok(isUnavailable(result) && result.unavailable === 'failed');
  const pid = Number(readFileSync(`${folder}/hangs.child`, 'utf8'));
  assert.ok(await until(() => !alive(pid)));
  const late = await commands.output({ program: 'echoes', args: [] });
  assert.ok(isUnavailable(late));
});

test('programs are looked for in absolute folders only', () => {
  const look = programFinder(`.:relative:${folder}`);
  assert.equal(look('echoes'), `${folder}/echoes`);
  assert.equal(programFinder('.:relative')('echoes'), undefined);
  assert.equal(look('../bin/sh'), undefined);
  assert.equal(look('not-executable'), undefined);
  assert.equal(look(''), undefined);
  assert.match(look('sh') ?? '', /^\/(?:usr\/)?bin\/sh$/);
});
