/* A quiet flow beside a flood that shares its counter: same rule, reason, namespace, interface, ethertype, and CPU. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DropEvent } from '../../src/model/event.ts';
import { armDrops } from '../../src/sources/bpf/index.ts';
import { lab, skip, watching, type Lab } from './bpf-lab.ts';

const notHere = skip !== false ? skip : !existsSync('/usr/bin/gcc') ? 'needs gcc' : false;
const folder = mkdtempSync(join(tmpdir(), 'whydrop-quiet-'));
const sender = join(folder, 'sender');
let ns: Lab;

before(() => {
  if (notHere !== false) return;
  assert.equal(spawnSync('gcc', ['-O2', '-o', sender, new URL('../../bench/sender.c', import.meta.url).pathname]).status, 0);
  ns = lab('quiet');
  for (const tables of ['iptables', 'ip6tables']) ns.run(tables, '-A', 'OUTPUT', '-p', 'udp', '-j', 'DROP');
});
after(() => {
  ns?.remove();
  rmSync(folder, { recursive: true });
});

/** One datagram a second to each port, on the flood's own CPU; gives how many were refused. */
const QUIET = `
import os, socket, sys, time
os.sched_setaffinity(0, {0})
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
refused = 0
for i in range(int(sys.argv[2])):
    time.sleep(1.3)
    for port in sys.argv[3:]:
        try: s.sendto(b'quiet', (sys.argv[1], int(port)))
        except PermissionError: refused += 1
print(refused)`;

const toPort = (port: number) => (d: DropEvent): boolean => d.packet.transport?.kind === 'udp' && d.packet.transport.destinationPort === port;

for (const [version, address] of [['IPv4', '127.0.0.1'], ['IPv6', '::1']] as const) {
  test(`${version}: every packet of quiet flows is described beside a flood of the same counter, and all are counted`, { skip: notHere, timeout: 120_000 }, async () => {
    let flooded = 0, quiet = 0, perSecond = 0;
    const seen = await watching([armDrops], [ns.inode], async () => {
      let over = false;
      const flood = (async () => {
        while (!over) {
          const { refused, perSecond: rate } = JSON.parse(await output(ns.spawn(sender, '200000', '0', address))) as { refused: number; perSecond: number };
          flooded += refused;
          perSecond = Math.max(perSecond, rate);
        }
      })();
      quiet = Number((await ns.python(QUIET, address, '4', '9001', '9002', '9003')).out);
      over = true;
      await flood;
    });
    assert.equal(quiet, 12);
    assert.ok(perSecond > 30_000, `a flood of ${perSecond} a second is none`);
    const counts = seen.counts.filter((c) => c.reason.name === 'NETFILTER_DROP');
    assert.equal(new Set(counts.map((c) => `${c.place.name} ${c.protocol} ${c.ifindex}`)).size, 1, 'they share a counter');
    assert.equal(counts.reduce((sum, c) => sum + c.packets, 0), flooded + quiet);
    const described = [9001, 9002, 9003].map((port) => seen.drops.filter(toPort(port)).length);
    // about once a second a flow is new again; two of one second may fall together
    assert.ok(described.every((n) => n >= 3), `of 4 packets to each of three ports ${described.join(', ')} were described, at ${perSecond} a second`);
    assert.ok(seen.drops.length < flooded / 100 + 500, `${seen.drops.length} of ${flooded} described: the flood stays within its budget`);
    assert.deepEqual(seen.missed, []);
  });
}

async function output(child: ReturnType<Lab['spawn']>): Promise<string> {
  let out = '';
  child.stdout?.on('data', (d: Buffer) => (out += d.toString()));
  await new Promise((done) => child.once('exit', done));
  return out;
}
