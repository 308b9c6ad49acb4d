import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = new URL('../../', import.meta.url).pathname;
const print = (what: string): string => {
  const { stdout, status } = spawnSync(`${root}whydrop`, ['completion', what], { encoding: 'utf8' });
  assert.equal(status, 0);
  return stdout;
};

test('bash completes commands and options, by running it', () => {
  const { stdout, stderr } = spawnSync('bash', ['-c', `${print('bash')}\nCOMP_WORDS=(whydrop wa); COMP_CWORD=1; _whydrop; echo "$\{COMPREPLY[*]}"; COMP_WORDS=(whydrop watch --net); COMP_CWORD=2; _whydrop; echo "$\{COMPREPLY[*]}"`], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n'), ['watch', '--netns']);
});

test('zsh, fish and man name every command and option of watch', () => {
  for (const what of ['zsh', 'fish', 'man']) {
    const text = print(what).replaceAll('\\-', '-');
    for (const word of ['watch', 'why', 'doctor', 'explain', 'record', 'replay', 'fail-on-incident', 'all-netns']) assert.ok(text.includes(word), `${what}: ${word}`);
  }
});

const has = (shell: string): string | false => (spawnSync(shell, ['-c', 'true']).error === undefined ? false : `needs ${shell}`);

test('fish completes commands and options, by running it', { skip: has('fish') }, () => {
  const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', `${print('fish')}\ncomplete -C 'whydrop wa'\ncomplete -C 'whydrop watch --all'`], { encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n').map((line) => line.split('\t')[0]), ['watch', '--all-netns']);
});

test('zsh takes its completion from its path of functions, and by source', { skip: has('zsh') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'whydrop-zsh-'));
  try {
    writeFileSync(join(folder, '_whydrop'), print('zsh'));
    for (const how of [`fpath=(${folder} $fpath); autoload -U compinit; compinit -u -D`, `autoload -U compinit; compinit -u -D; source ${folder}/_whydrop`]) {
      const { stdout, stderr } = spawnSync('zsh', ['-fc', `${how}\nprint $_comps[whydrop]`], { encoding: 'utf8', env: { ...process.env, HOME: folder } });
      assert.equal(stderr, '', how);
      assert.equal(stdout.trim(), '_whydrop', how);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an unknown shell is named', () => {
  const { status, stderr } = spawnSync(`${root}whydrop`, ['completion', 'tcsh'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /tcsh/);
});
