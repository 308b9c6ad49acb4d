import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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

test('an unknown shell is named', () => {
  const { status, stderr } = spawnSync(`${root}whydrop`, ['completion', 'tcsh'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /tcsh/);
});
