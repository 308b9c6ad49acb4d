import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** The live screen in a real terminal: a tmux of its own, closed at the end. */
const socket = `wdv${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), 'whydrop-tui-'));
const demo = new URL('tui-demo.ts', import.meta.url).pathname;
const installed = ((): boolean => {
  try {
    execFileSync('tmux', ['-V']);
    return true;
  } catch {
    return false;
  }
})();
const skip = installed ? false : 'tmux is not installed';
const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

after(() => {
  if (installed) {
    try {
      tmux('kill-server');
    } catch {
      // no test has started it, or it ended with its last window
    }
  }
  rmSync(directory, { recursive: true, force: true });
});

interface Pane {
  screen(): string;
  cell(format: string): string;
  press(...keys: string[]): void;
  resize(columns: number, rows: number): void;
  until(what: (screen: string) => boolean, why: string): Promise<string>;
}

let panes = 0;
function open(columns: number, rows: number, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Pane {
  return openShell(columns, rows, `${process.execPath} ${demo} 100 ${args.join(' ')}`, env);
}

function openShell(columns: number, rows: number, command: string, env: Readonly<Record<string, string>> = {}): Pane {
  const name = `p${panes++}`;
  const set = Object.entries({ LC_ALL: 'C.UTF-8', DEMO_DIRECTORY: directory, ...env }).map(([k, v]) => `${k}=${v}`);
  // a shell line stays after the program, so that what it leaves behind can be seen
  tmux('new-session', '-d', '-s', name, '-x', String(columns), '-y', String(rows), `env ${set.join(' ')} ${command}; echo "status $?"; sleep 60`);
  const screen = (): string => tmux('capture-pane', '-p', '-t', name);
  return {
    screen,
    cell: (format) => tmux('display-message', '-p', '-t', name, format).trim(),
    press: (...keys) => void tmux('send-keys', '-t', name, ...keys),
    resize: (c, r) => void tmux('resize-window', '-t', name, '-x', String(c), '-y', String(r)),
    until: async (what, why) => {
      for (let i = 0; i < 300; i++) {
        if (what(screen())) return screen();
        await sleep(100);
      }
      assert.fail(`${why}; the screen was:\n${screen()}`);
    },
  };
}

test('80x24: the list is there, an incident opens, the terminal comes back', { skip }, async () => {
  const pane = open(80, 24);
  const list = await pane.until((s) => s.includes('A firewall rule dropped it'), 'the list');
  assert.equal(list.trimEnd().split('\n').length, 24);
  assert.equal(pane.cell('#{alternate_on}'), '1');
  pane.press('Down', 'Enter');
  await pane.until((s) => s.includes('Culprit (rule): iptables') && s.includes('Esc back'), 'the incident');
  pane.press('Escape');
  await pane.until((s) => s.includes('incidents ('), 'back in the list');
  pane.press('q');
  await pane.until((s) => s.includes('demo ended') && s.includes('status 0'), 'the end');
  assert.equal(pane.cell('#{alternate_on}'), '0');
  assert.equal(pane.cell('#{cursor_flag}'), '1');
});

test('40x15: the list says what happened, and the way to the help and out is named', { skip }, async () => {
  const pane = open(40, 15);
  const list = await pane.until((s) => s.includes('? help'), 'the list');
  assert.ok(list.includes('The receive buffer of') && list.includes('The reverse-path filter'));
  assert.match(list.trimEnd().split('\n').at(-1)!, /\? help  q quit$/);
  pane.press('Enter');
  const opened = await pane.until((s) => s.includes('Esc back'), 'the incident');
  assert.match(opened.trimEnd().split('\n').at(-1)!, /\? help$/);
  pane.press('C-c');
});

test('Escape and a key right behind it are two keys, though they arrive as one', { skip }, async () => {
  const pane = open(80, 24);
  await pane.until((s) => s.includes('A firewall rule dropped it'), 'the list');
  pane.press('Enter');
  await pane.until((s) => s.includes('Esc back'), 'the incident');
  pane.press('-l', '\u001b?');
  await pane.until((s) => s.includes('── Keys'), 'the help');
  pane.press('-l', '\u001bs');
  await pane.until((s) => s.includes('by count'), 'sorted, in the list');
  pane.press('C-c');
});

test('a terminal that is dumb gets plain lines, one of 80 columns whole words', { skip }, async () => {
  const program = new URL('../../whydrop', import.meta.url).pathname;
  const dumb = openShell(80, 24, `TERM=dumb ${program} watch --netns $$ --for 1s`);
  const said = await dumb.until((s) => /status \d/.test(s), 'the end');
  assert.doesNotMatch(said, /lost a second/);
  const list = openShell(80, 50, `${program} lab list | cat; ${program} lab list`);
  const lines = (await list.until((s) => /status \d/.test(s), 'the list')).split('\n');
  const story = lines.findIndex((l) => /^xfrm\.|^udp\./.test(l));
  assert.ok(story > 0);
  for (const line of lines) assert.ok(/^\S+ +\S|^ {20,}\S|^$|^\d+ of|^status|whydrop lab run/.test(line), line);
});

test('filter, sort, pause, help and export by keys', { skip }, async () => {
  const pane = open(120, 40);
  await pane.until((s) => s.includes('incidents (14)'), 'the list');
  pane.press('/', 'e', 'p', 'e', 'r', 'm', 'Enter');
  await pane.until((s) => /incidents \([4-9]\), by harm, matching: eperm/.test(s), 'the filter');
  pane.press('Escape');
  await pane.until((s) => s.includes('incidents (14)'), 'all again');
  pane.press('s');
  await pane.until((s) => s.includes('by count'), 'sorted');
  pane.press('p');
  await pane.until((s) => s.includes('PAUSED'), 'paused');
  pane.press('?');
  await pane.until((s) => s.includes('write what is shown to a text file'), 'help');
  pane.press('?');
  pane.press('e');
  await pane.until((s) => s.includes('written to'), 'export');
  const files = readdirSync(directory);
  assert.equal(files.length, 1);
  const file = join(directory, files[0]!);
  const text = readFileSync(file, 'utf8');
  assert.ok(text.includes('Culprit (rule): iptables') && text.includes('What whydrop itself missed'));
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f]/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  pane.press('e');
  await pane.until((s) => s.includes('is there already'), 'never overwritten');
  pane.press('C-c');
  await pane.until((s) => s.includes('status 0'), 'Ctrl-C');
});

test('y puts the command on the clipboard of the terminal', { skip }, async () => {
  const pane = open(100, 30);
  tmux('set-option', '-g', 'set-clipboard', 'on');
  await pane.until((s) => s.includes('A firewall rule'), 'the list');
  pane.press('Down', 'y');
  await pane.until((s) => s.includes('copied: ip netns exec blue iptables -I OUTPUT 3'), 'said so');
  assert.equal(tmux('show-buffer'), 'ip netns exec blue iptables -I OUTPUT 3 -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j ACCEPT');
  pane.press('q');
  await pane.until((s) => s.includes('status 0'), 'the end');
});

test('a flood and sizes that change never garble the screen', { skip }, async () => {
  const pane = open(80, 24, ['flood']);
  await pane.until((s) => s.includes('A firewall rule'), 'the list');
  for (const [columns, rows] of [[250, 70], [41, 11], [20, 5], [132, 43], [80, 24]] as const) {
    pane.resize(columns, rows);
    // every line must be one that the screen draws at this size, not rests of another
    await pane.until((s) => {
      const lines = s.replace(/\n$/, '').split('\n');
      if (columns < 40) return lines[0]!.startsWith('needs 40x10') && s.includes(`has ${columns}x${rows}`) && lines.slice(2).every((l) => l === '');
      const titles = lines.filter((l) => l.startsWith('whydrop  edge-7')).length;
      const cursors = lines.filter((l) => l.startsWith('>')).length;
      return titles === 1 && lines[0]!.startsWith('whydrop  edge-7') && cursors === 1 && lines.filter((l) => l.includes('incidents (')).length === 1 && lines.at(-1)!.includes('Enter open');
    }, `${columns}x${rows}`);
  }
  pane.press('q');
  await pane.until((s) => s.includes('status 0'), 'the end');
});

test('without colour and in a C locale: no colour, only ASCII', { skip }, async () => {
  const pane = open(100, 30, [], { LC_ALL: 'C', NO_COLOR: '1' });
  const list = await pane.until((s) => s.includes('A firewall rule'), 'the list');
  // eslint-disable-next-line no-control-regex
  assert.match(list, /^[\n\x20-\x7e]*$/);
  pane.press('Down', 'Enter');
  await pane.until((s) => s.includes('Culprit'), 'the incident');
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(tmux('capture-pane', '-p', '-e', '-t', `p${panes - 1}`), /\u001b\[[0-9;]*3[0-7]/);
  pane.press('C-c');
  await pane.until((s) => s.includes('status 0'), 'the end');
});

test('nothing lost yet: it says so, and that it can see', { skip }, async () => {
  const pane = open(80, 24, ['empty']);
  await pane.until((s) => s.includes('Nothing lost so far') && s.includes('not seen: nothing; all 3 probes are armed'), 'the empty list');
  const pid = pane.cell('#{pane_pid}');
  // SIGTERM as a service manager sends it, to the program below the shell of this pane
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]!;
  process.kill(Number(child), 'SIGTERM');
  await pane.until((s) => s.includes('demo ended'), 'the end');
  assert.equal(pane.cell('#{alternate_on}'), '0');
});

const noLab = skip !== false ? skip : process.getuid?.() !== 0 ? 'needs root' : !existsSync('/usr/sbin/ipset') ? 'needs ipset' : false;
test('the demo: a real fault on the live screen, then explained, fixed, gone', { skip: noLab, timeout: 90_000 }, async () => {
  const pane = openShell(110, 60, `${new URL('../../whydrop', import.meta.url).pathname} lab run netfilter.rule-drop --watch --fix`);
  await pane.until((s) => /incidents \(\d+\), by harm/.test(s) && /A firewall rule dropped it/.test(s) && /ipset del leavers/.test(s), 'the fault is on the screen with its remedy');
  pane.press('q');
  const end = await pane.until((s) => /status \d/.test(s), 'the lab ends');
  assert.match(end, /\$ ip netns exec \S+ ipset del leavers 192\.168\.77\.8\/29\nThe loss is gone/);
  assert.match(end, /status 0/);
});
