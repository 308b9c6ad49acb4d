/* `whydrop why` over two namespaces: what a program sends may die where the kernel knows no owner of it any more. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { lab, skip, type Lab } from './bpf-lab.ts';

const WHYDROP = new URL('../../whydrop', import.meta.url).pathname;
type Incident = { severity: string; cause: { id: string }; count: number; where: { netns: { name?: string } }; victims: { process?: { comm: string; cmdline?: string }; errno?: string }[]; remedies: { command?: string }[] };

let here: Lab, there: Lab;
before(() => {
  if (skip !== false) return;
  here = lab('why-a');
  there = lab('why-b');
  here.run('ip', 'link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e0', 'netns', there.name);
  for (const [ns, address] of [[here, '10.99.0.1/24'], [there, '10.99.0.2/24']] as const) {
    ns.run('ip', 'addr', 'add', address, 'dev', 'e0');
    ns.run('ip', 'link', 'set', 'e0', 'up');
  }
  for (const match of [['udp', '--dport', '53'], ['tcp', '--dport', '81'], ['icmp']]) there.run('iptables', '-A', 'INPUT', '-p', ...match, '-j', 'DROP');
});
after(() => {
  if (skip !== false) return;
  here.remove();
  there.remove();
});

/** The program runs in `here`, whydrop too; what it says above info. */
function why(...command: string[]): { readonly status: number | null; readonly incidents: readonly Incident[] } {
  const { status, stderr } = spawnSync('ip', ['netns', 'exec', here.name, WHYDROP, 'why', '--json', '--', ...command], { encoding: 'utf8', timeout: 40_000 });
  const { incidents } = JSON.parse(stderr.trim().split('\n').findLast((l) => l.startsWith('{"type":"summary"')) ?? '{}') as { incidents: Incident[] };
  return { status, incidents: incidents.filter((i) => i.severity !== 'info') };
}

const rule = ({ incidents }: { readonly incidents: readonly Incident[] }, comm: RegExp): Incident => {
  assert.deepEqual(incidents.map((i) => [i.cause.id, i.where.netns.name]), [['netfilter.rule-drop', there.name]]);
  const [incident] = incidents;
  assert.ok(incident !== undefined && incident.victims.every((v) => comm.test(v.process?.comm ?? '')), JSON.stringify(incident?.victims));
  assert.match(incident.remedies[0]?.command ?? '', new RegExp(`^ip netns exec ${there.name} iptables`));
  return incident;
};

test('datagrams of an unconnected socket that another namespace drops', { skip }, () => {
  const incident = rule(why('python3', '-c', `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(4):
    s.sendto(b'x', ('10.99.0.2', 53))
    time.sleep(0.2)
`), /^python/);
  assert.equal(incident.count, 4);
});

test('a connection that times out: the SYNs dropped over there, the program that gave up here', { skip }, () => {
  const run = why('python3', '-c', `
import socket, sys
s = socket.socket()
s.settimeout(2.5)
try: s.connect(('10.99.0.2', 81))
except TimeoutError: sys.exit(9)
`);
  assert.equal(run.status, 9);
  assert.deepEqual(rule(run, /^python/).victims.map((v) => v.errno), ['EINPROGRESS']);
});

test('a connection that is refused, though no call says so', { skip }, () => {
  const { incidents } = why('python3', '-c', `
import socket, select
s = socket.socket()
s.setblocking(False)
s.connect_ex(('10.99.0.2', 8080))
select.select([], [s], [], 2)
`);
  assert.deepEqual(incidents.map((i) => [i.cause.id, i.victims[0]?.errno]), [['socket.no-listener', 'ECONNREFUSED']]);
});

test('ping: a socket without ports', { skip }, () => {
  const run = why('ping', '-c', '3', '-i', '0.3', '-W', '1', '10.99.0.2');
  assert.equal(run.status, 1);
  assert.equal(rule(run, /^ping$/).count, 3);
});

test('behind a router that masquerades: the same program, by the name that it has there', { skip }, async () => {
  const router = lab('why-r');
  try {
    here.run('ip', 'link', 'add', 'r0', 'type', 'veth', 'peer', 'name', 'r0', 'netns', router.name);
    there.run('ip', 'link', 'add', 'r0', 'type', 'veth', 'peer', 'name', 'r1', 'netns', router.name);
    for (const [ns, device, address] of [[here, 'r0', '10.98.0.2/24'], [router, 'r0', '10.98.0.1/24'], [router, 'r1', '10.97.0.1/24'], [there, 'r0', '10.97.0.2/24']] as const) {
      ns.run('ip', 'addr', 'add', address, 'dev', device);
      ns.run('ip', 'link', 'set', device, 'up');
    }
    here.run('ip', 'route', 'add', '10.97.0.0/24', 'via', '10.98.0.1');
    router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    router.run('iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', 'r1', '-j', 'MASQUERADE');
    const tcp = rule(why('python3', '-c', `
import socket
s = socket.socket()
s.settimeout(2.5)
try: s.connect(('10.97.0.2', 81))
except TimeoutError: pass
`), /^python/);
    assert.deepEqual(tcp.victims.map((v) => v.errno), ['EINPROGRESS']);
    rule(why('ping', '-c', '3', '-i', '0.3', '-W', '1', '10.97.0.2'), /^ping$/);
  } finally {
    router.remove();
  }
});

test('a remedy for the namespace that whydrop itself runs in names it too: it works from the root namespace as it is', { skip }, () => {
  here.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '54', '-j', 'DROP');
  const { incidents } = why('python3', '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.sendto(b'x', ('10.99.0.2', 54))
except PermissionError: pass
`);
  assert.match(incidents[0]?.remedies[0]?.command ?? '', new RegExp(`^ip netns exec ${here.name} iptables -D OUTPUT`));
});
