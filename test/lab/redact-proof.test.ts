/* What a redacted recording may not hold, looked for by its bytes and not by the redactor's own scan. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lab, skip } from './bpf-lab.ts';
import { judged } from '../../src/app/judged.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { readRecording } from '../../src/recording/file.ts';

const WHYDROP = new URL('../../whydrop', import.meta.url).pathname;
const V4 = '198.18.77.1', PEER4 = '198.18.77.2', V6 = 'fd77:acde::1', PEER6 = 'fd77:acde::2', MAC = '02:77:66:55:44:33';
const NAMES = ['acme-uplink', 'acmechain', 'acmeset', 'acme-secret-path'];
const SEND = `
import socket, time
def tcp(to, port, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(1.2)
    try: s.connect((to, port))
    except OSError: pass
    return s
keep = tcp('${PEER4}', 81)
tcp('${PEER6}', 81, socket.AF_INET6)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5):
    try: u.sendto(b'acme-payload', ('${PEER4}', 53))
    except OSError: pass
`;

/** Every byte that the file holds, unpacked: texts, payloads, netlink messages, ring pages. */
function everything(records: readonly RawRecord[]): Buffer {
  const parts: Buffer[] = [];
  const walk = (value: unknown): void => {
    if (value instanceof Uint8Array) parts.push(Buffer.from(value), Buffer.from('\n'));
    else if (typeof value === 'string') parts.push(Buffer.from(`${value}\n`));
    else if (typeof value === 'object' && value !== null) for (const [key, v] of Object.entries(value)) if (!['formats', 'dropReasons', 'syscalls'].includes(key)) walk(v);
  };
  walk(records);
  return Buffer.concat(parts);
}

const bytesOf4 = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const V6_BYTES = Buffer.from('fd77acde000000000000000000000001', 'hex'), PEER6_BYTES = Buffer.from('fd77acde000000000000000000000002', 'hex');

for (const tier of ['auto', 'tracefs'] as const) {
  test(`a recording by the ${tier} tier, redacted: no address, name or payload in any byte, the same causes`, { skip, timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'acme-secret-path-'));
    const here = lab(`rd${tier[0]}a`), there = lab(`rd${tier[0]}b`);
    try {
      here.run('ip', 'link', 'add', 'acme-uplink', 'address', MAC, 'type', 'veth', 'peer', 'name', 'e0', 'netns', there.name);
      for (const [ns, device, v4, v6] of [[here, 'acme-uplink', V4, V6], [there, 'e0', PEER4, PEER6]] as const) {
        ns.run('ip', 'addr', 'add', `${v4}/24`, 'dev', device);
        ns.run('ip', 'addr', 'add', `${v6}/64`, 'dev', device, 'nodad');
        ns.run('ip', 'link', 'set', device, 'up');
      }
      here.run('nft', 'add table inet acme { set acmeset { type ipv4_addr; elements = { 198.18.77.2 }; }; chain acmechain { type filter hook output priority 0; ct state new counter; ip daddr @acmeset udp dport 53 counter drop comment "acme-secret-path"; }; }');
      there.run('iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', '81', '-s', V4, '-j', 'DROP');
      there.run('ip6tables', '-A', 'INPUT', '-p', 'tcp', '--dport', '81', '-s', V6, '-j', 'DROP');
      const raw = join(dir, 'raw.whydrop'), clean = join(dir, 'clean.whydrop');
      const child = spawn(WHYDROP, ['record', '--probe', tier, '--netns', here.name, '--netns', there.name, '-o', raw, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((done) => child.once('exit', done));
      await new Promise<void>((done) => {
        let out = '';
        child.stdout.on('data', (b: Buffer) => (out += b.toString()).includes('"armed"') && done());
      });
      await here.python(SEND, join(dir, 'argument'));
      child.kill('SIGINT');
      await ended;
      const { status, stderr } = spawnSync(WHYDROP, ['redact', raw, '-o', clean], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);

      const before = readRecording(readFileSync(raw)).records, after = readRecording(readFileSync(clean)).records;
      const [was, is] = [everything(before), everything(after)];
      const secrets: (readonly [string, Buffer])[] = [
        ...[V4, PEER4, V6, PEER6, MAC, here.name, there.name, ...NAMES].map((s) => [s, Buffer.from(s)] as const),
        ...[V4, PEER4].map((a) => [`${a} in bytes`, bytesOf4(a)] as const), [`${V6} in bytes`, V6_BYTES], [`${PEER6} in bytes`, PEER6_BYTES], [`${MAC} in bytes`, Buffer.from(MAC.replaceAll(':', ''), 'hex')],
        ...(tier === 'auto' ? [['payload', Buffer.from('acme-payload')] as const] : []),
      ];
      for (const [what, bytes] of secrets) assert.ok(!is.includes(bytes), `${what} is left`);
      const there4 = secrets.filter(([, bytes]) => was.includes(bytes)).map(([what]) => what);
      for (const must of [V4, PEER4, here.name, 'acme-uplink', 'acmeset', ...(tier === 'auto' ? [`${V4} in bytes`, `${PEER6} in bytes`, 'payload'] : [])]) assert.ok(there4.includes(must), `${must} was never in the recording: nothing was shown`);
      if (tier === 'auto') assert.ok(before.some((r) => r.record === 'netlink'), 'conntrack told of connections');
      else assert.ok(before.some((r) => r.record === 'trace-page'), 'pages of the trace were kept');

      const none = { pid: [], protocol: [], port: [], address: [], cause: [] };
      const causes = (records: readonly RawRecord[]) => judged(records, none).exported.incidents.map((i) => `${i.cause.id} ${i.count} ${i.severity}`).sort();
      assert.deepEqual(causes(after), causes(before));
      if (tier === 'auto') assert.ok(causes(after).some((c) => c.startsWith('netfilter.rule-drop 5 ')), causes(after).join('; '));
    } finally {
      here.remove();
      there.remove();
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
