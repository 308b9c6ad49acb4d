import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { armed, BUNDLE, NODE, NS, pause, PYTHON, sh, skip, summaryOf, type Incident } from './trust-lab.ts';

/* Names that attack whoever pastes a remedy into a shell, and every export of what they did: docs/trust.md. */

const RAW = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const clean = (text: string, what: string): void => {
  const at = RAW.exec(text)?.index;
  assert.equal(at, undefined, `${what}: ${JSON.stringify(text.slice(Math.max(0, (at ?? 0) - 80), (at ?? 0) + 40))}`);
};
type Told = Incident & { remedies: { text: string; command?: string; undo?: string }[] };

test('names that a shell would act upon: remedies, run by a real shell, do what they say and nothing else', { skip, timeout: 90_000 }, async () => {
  const dir = mkdtempSync('/tmp/whydrop-shell-');
  const work = `${dir}/work`;
  sh('mkdir', work);
  const evil = `${NS}-a b'";$(touch c)\`touch d\`;touch e;#`;
  const dev = `e'$(id>f);|&\``; // 15 bytes at most, no blank, slash or colon; a quotation mark would break iptables-save itself
  const chain = `c';$(id>g)|&\`id>h\``;
  const within = (...command: string[]): string => sh('ip', 'netns', 'exec', evil, ...command);
  try {
    sh('ip', 'netns', 'add', evil);
    sh('ip', '-n', evil, 'link', 'set', 'lo', 'up');
    sh('ip', '-n', evil, 'link', 'add', dev, 'type', 'veth', 'peer', 'name', 'peer0');
    sh('ip', '-n', evil, 'link', 'set', dev, 'up');
    sh('ip', '-n', evil, 'link', 'set', 'peer0', 'up');
    sh('ip', '-n', evil, 'addr', 'add', '10.8.8.1/24', 'dev', dev);
    sh('ip', '-n', evil, 'route', 'add', 'unreachable', '10.9.0.0/16');
    within('iptables', '-N', chain);
    within('iptables', '-A', chain, '-p', 'udp', '--dport', '9000', '-m', 'comment', '--comment', `x'";$(touch i);\`touch j\`\n;touch k #`, '-j', 'DROP');
    within('iptables', '-A', 'OUTPUT', '-o', dev, '-j', chain);
    // nft's own command line takes no such names; whoever speaks netlink gives them
    spawnSync('ip', ['netns', 'exec', evil, 'nft', '-j', '-f', '-'], { input: JSON.stringify({ nftables: [
      { add: { table: { family: 'inet', name: `t'";$(touch l)` } } },
      { add: { chain: { family: 'inet', table: `t'";$(touch l)`, name: `n'";$(touch m)`, type: 'filter', hook: 'output', prio: 5, policy: 'accept' } } },
      { add: { rule: { family: 'inet', table: `t'";$(touch l)`, chain: `n'";$(touch m)`, comment: `'";$(touch n)`, expr: [{ match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 9001 } }, { counter: null }, { drop: null }] } } },
    ] }) });
    const run = await armed(['watch', '--json', '--netns', evil, '--record', `${dir}/a.whydrop`]);
    const sender = spawn('ip', ['netns', 'exec', evil, PYTHON, '-c', `
import socket, time, ctypes
ctypes.CDLL(None).prctl(15, b"x';$(touch o)", 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(40):
    for to in (('10.8.8.9', 9000), ('10.8.8.9', 9001), ('10.9.1.1', 9), ('10.8.8.77', 55), ('192.0.2.1', 7)):
        try: s.sendto(b'x', to)
        except OSError: pass
    time.sleep(0.05)
time.sleep(2)`], { stdio: 'ignore' });
    await new Promise((done) => sender.once('exit', done));
    await pause(1500);
    const incidents = (await summaryOf(run)).incidents as unknown as readonly Told[];
    const commands = incidents.flatMap((i) => i.remedies.flatMap((r) => [r.command, r.undo])).filter((c) => c !== undefined);
    const rule = incidents.find((i) => i.cause.id === 'netfilter.rule-drop' && JSON.stringify(i).includes('9000'));
    assert.ok(rule !== undefined && commands.length >= 6, JSON.stringify(incidents.map((i) => [i.cause.id, i.count, (i as unknown as { explanation: string }).explanation])));
    assert.ok(commands.filter((c) => c.includes('id>')).length >= 2, commands.join('\n'));
    const shell = (command: string): ReturnType<typeof spawnSync> => spawnSync('timeout', ['5', 'sh', '-c', command], { cwd: work, encoding: 'utf8' });
    // the rule's own remedy works: the rule is gone, and back
    const [fix] = rule.remedies.filter((r) => r.command !== undefined && r.undo !== undefined);
    const rules = (): string => within('iptables-save', '-t', 'filter').replace(/\[\d+:\d+\]|^#.*$/gm, '');
    const before = rules();
    const fixed = shell(fix?.command ?? 'false');
    assert.equal(fixed.status, 0, `${fix?.command}: ${String(fixed.stderr)}`);
    assert.notEqual(rules(), before);
    const undone = shell(fix?.undo ?? 'false');
    assert.equal(undone.status, 0, `${fix?.undo}: ${String(undone.stderr)}`);
    assert.equal(rules(), before);
    // none of them, whether it works or not, runs what a name says: not in sh, not in bash
    for (const command of commands) for (const with_ of ['sh', 'bash']) spawnSync('timeout', ['5', with_, '-c', command], { cwd: work });
    assert.deepEqual(readdirSync(work), [], commands.join('\n'));
    // a terminal shows the same words, with what is invisible made visible
    for (const to of ['csv', 'json', 'folded', 'perfetto', 'pcapng']) {
      const out = spawnSync(NODE, [BUNDLE, 'export', `${dir}/a.whydrop`, '--to', to], { maxBuffer: 1 << 27 });
      assert.equal(out.status, 0, `${to}: ${String(out.stderr)}`);
      if (to === 'pcapng') for (const text of commentsOf(out.stdout)) clean(text, to);
      else clean(out.stdout.toString('utf8'), to);
    }
  } finally {
    spawnSync('ip', ['netns', 'del', evil]);
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Texts of all options of a pcapng file's blocks (little-endian). */
function commentsOf(file: Buffer): string[] {
  const out: string[] = [];
  for (let at = 0; at + 12 <= file.length; at += file.readUInt32LE(at + 4)) {
    const type = file.readUInt32LE(at), end = at + file.readUInt32LE(at + 4) - 4;
    let option = type === 0x0a0d0d0a ? at + 24 : type === 1 ? at + 16 : type === 6 ? at + 28 + ((file.readUInt32LE(at + 20) + 3) & ~3) : end;
    for (; option + 4 <= end; ) {
      const code = file.readUInt16LE(option), length = file.readUInt16LE(option + 2);
      if (code === 0) break;
      if (code === 1 || code === 2 || code === 3 || code === 4) out.push(file.toString('utf8', option + 4, option + 4 + length));
      option += 4 + ((length + 3) & ~3);
    }
  }
  assert.ok(out.length > 0);
  return out;
}

test('completions and the man page hold nothing of the host, and no control characters', { skip }, () => {
  for (const shell of ['bash', 'zsh', 'fish', 'man']) {
    const out = spawnSync(NODE, [BUNDLE, 'completion', shell], { encoding: 'utf8', env: { ...process.env, HOSTNAME: '$(touch x)', USER: '\u001b[2J' } });
    assert.equal(out.status, 0, out.stderr);
    clean(out.stdout, shell);
    assert.ok(!out.stdout.includes('touch x'));
  }
});

test('the page of serve: what is hostile comes as JSON strings, and no page brings markup of its own', { skip, timeout: 30_000 }, async () => {
  const dir = mkdtempSync('/tmp/whydrop-serve-');
  try {
    const run = await armed(['watch', '--json', '--netns', NS, '--record', `${dir}/<img src=x onerror=alert(1)>\u001b.whydrop`]);
    sh('ip', 'netns', 'exec', NS, PYTHON, '-c', `
import socket, ctypes
ctypes.CDLL(None).prctl(15, b'<script>\\x1b\\n', 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(30):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except OSError: pass
import time; time.sleep(1)`);
    await summaryOf(run);
    const serve = spawn(NODE, [BUNDLE, 'serve', `${dir}/<img src=x onerror=alert(1)>\u001b.whydrop`, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
    try {
      let text = '';
      for (const s of [serve.stdout, serve.stderr]) s.on('data', (d: Buffer) => (text += d.toString()));
      for (let i = 0; i < 200 && !/http:\S+/.test(text); i++) await pause(50);
      clean(text, 'serve');
      const url = new URL(/http:\S+/.exec(text)?.[0] ?? '');
      const page = await fetch(url);
      assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'|script-src 'self'/);
      assert.doesNotMatch(await page.text(), /<img|onerror/);
    } finally {
      serve.kill('SIGKILL');
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
