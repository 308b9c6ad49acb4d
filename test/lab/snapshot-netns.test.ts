import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Topic } from '../../src/model/question.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { openNetnsRegistry, type NetnsRef, type NetnsRegistry } from '../../src/sources/netns.ts';
import { createSnapshots, type Snapshots } from '../../src/sources/snapshot/index.ts';
import { withinNetns } from '../../src/sources/sys/netns.ts';

const NAME = `wdp-${process.pid}`;
const sh = (command: string, input?: string): string => execFileSync('ip', ['netns', 'exec', NAME, 'sh', '-ec', command], { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
const has = (program: string): boolean => ['/usr/sbin', '/sbin', '/usr/bin', '/bin'].some((folder) => existsSync(`${folder}/${program}`));

let registry: NetnsRegistry;
let snapshots: Snapshots;
let ref: NetnsRef;

const answer = async (topic: Topic, argument?: string): Promise<string> => {
  const { body } = await snapshots.ask({ topic, netns: ref.inode, ...(argument === undefined ? undefined : { argument }) });
  assert.ok(typeof body === 'string', `${topic} ${argument ?? ''}: ${JSON.stringify(body)}`);
  return body;
};
// listings of other programs: the assertions are the check
const json = async (topic: Topic, argument?: string): Promise<any> => JSON.parse(await answer(topic, argument));

before(() => {
  execFileSync('ip', ['netns', 'add', NAME]);
  sh(`ip link set lo up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip address add 10.9.0.1/24 dev d0
    ip route add blackhole 10.99.0.0/16; ip route add unreachable 10.98.0.0/16; ip route add prohibit 10.97.0.0/16; ip -6 route add blackhole 2001:db8:2::/48
    ip neigh add 10.9.0.5 lladdr 02:00:00:00:00:05 dev d0; ip neigh add proxy 10.9.0.77 dev d0; ip rule add from 10.9.9.0/24 table 77`);
  registry = openNetnsRegistry();
  const found = registry.resolve(NAME);
  assert.ok(!isUnavailable(found), JSON.stringify(found));
  ref = found;
  snapshots = createSnapshots({ netnsPath: registry.path });
});
after(() => {
  snapshots?.close();
  registry?.close();
  execFileSync('ip', ['netns', 'delete', NAME]);
});

test('listing makes no table: not of nftables, not of x_tables', async () => {
  const names = (): string => ['ip', 'ip6', 'arp'].map((f) => readInside(`/proc/thread-self/net/${f}_tables_names`)).join('');
  assert.equal(names(), '');
  for (const topic of ['nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'ebtables', 'arptables', 'ipset'] as const) await answer(topic);
  assert.equal(names(), '');
  assert.deepEqual((await json('nft')).nftables.filter((o: object) => !('metainfo' in o)), []);
  assert.equal(await answer('iptables'), '');
});

function readInside(path: string): string {
  const text = withinNetns(ref.path, () => (existsSync(path) ? readFileSync(path, 'utf8') : ''));
  assert.ok(typeof text === 'string');
  return text;
}

test('rules of every kind, each in one listing only', async (t) => {
  sh('nft -f -', 'table inet t {\n chain c {\n type filter hook input priority 0; policy accept;\n meta l4proto udp udp dport 5353 counter drop comment "mdns"\n tcp flags syn tcp dport { 22, 80 } accept\n ip protocol icmp drop\n }\n}\n');
  if (has('iptables-nft')) sh('iptables-nft -A INPUT -p udp --dport 53 -m comment --comment "it is nft" -j DROP; ip6tables-nft -A OUTPUT -d fd00::9 -j REJECT');
  const legacy = has('iptables-legacy') && trySh('iptables-legacy -A OUTPUT -p tcp --dport 99 -j DROP');
  const ruleset = JSON.stringify((await json('nft')).nftables);
  assert.match(ruleset, /"handle":/);
  assert.match(ruleset, /"comment":"mdns"/);
  assert.match(ruleset, /"right":1[,}]/, 'protocol as a number: 1 is icmp');
  assert.match(ruleset, /"right":"syn"/);
  if (has('iptables-nft')) {
    assert.match(await answer('iptables'), /^\[0:0\] -A INPUT -p udp -m udp --dport 53 -m comment --comment "it is nft" -j DROP$/m);
    assert.match(await answer('ip6tables'), /^\[0:0\] -A OUTPUT -d fd00::9\/128 -j REJECT/m);
  }
  if (has('arptables-nft') && trySh('arptables-nft -A INPUT -s 10.9.0.8 -j DROP')) assert.match(await answer('arptables'), /^\[0:0\] -A INPUT -j DROP -s 10\.9\.0\.8$/m);
  if (has('ebtables-nft') && trySh('ebtables-nft -A FORWARD -p ARP -j DROP')) assert.match(await answer('ebtables'), /^\[0:0\] -A FORWARD -p ARP -j DROP$/m);
  if (has('arptables-legacy') && trySh('arptables-legacy -A OUTPUT -d 10.9.0.7 -j DROP')) {
    const text = await answer('arptables');
    assert.match(text, /^# arptables \(legacy\)\n\*filter\n:INPUT ACCEPT \[0:0\]$/m);
    assert.match(text, /^\[0:0\] -A OUTPUT -j DROP -d 10\.9\.0\.7$/m);
  }
  if (!legacy) return t.diagnostic('no x_tables in this kernel: legacy rules not tried');
  assert.match(await answer('iptables-legacy'), /^\[0:0\] -A OUTPUT -p tcp -m tcp --dport 99 -j DROP$/m);
  assert.doesNotMatch(await answer('iptables'), /--dport 99/);
  assert.doesNotMatch(await answer('iptables-legacy'), /it is nft/);
});

function trySh(command: string): boolean {
  try {
    sh(command);
    return true;
  } catch {
    return false; // not in this kernel
  }
}

test('routes, rules, neighbours, devices', async () => {
  const routes: { dst: string; type: string; table: string }[] = await json('route');
  assert.ok(routes.some((r) => r.dst === '10.99.0.0/16' && r.type === 'blackhole' && r.table === 'main'));
  assert.ok(routes.some((r) => r.dst === '10.9.0.1' && r.type === 'local' && r.table === 'local'));
  assert.ok((await json('route6')).some((r: { dst: string; type: string }) => r.dst === '2001:db8:2::/48' && r.type === 'blackhole'));
  assert.ok((await json('rule')).some((r: { src: string; table: string }) => r.src === '10.9.9.0' && r.table === '77'));
  const neighbours: { dst: string; proxy?: boolean; state?: string[] }[] = await json('neighbour');
  assert.deepEqual(neighbours.find((n) => n.dst === '10.9.0.5')?.state, ['PERMANENT']);
  assert.equal(neighbours.find((n) => n.dst === '10.9.0.77')?.proxy, true);
  const link = (await json('link')).find((l: { ifname: string }) => l.ifname === 'd0');
  assert.equal(link.linkinfo.info_kind, 'veth');
  assert.equal(typeof link.stats64.rx.missed_errors, 'number');
  assert.ok((await json('address')).some((l: { addr_info: { local: string }[] }) => l.addr_info.some((a) => a.local === '10.9.0.1')));
  assert.ok((await json('qdisc')).some((q: { dev: string }) => q.dev === 'd0'));
  for (const topic of ['bridge-link', 'bridge-fdb', 'bridge-vlan', 'rule6'] as const) assert.ok(Array.isArray(await json(topic)), topic);
  for (const topic of ['xfrm-policy', 'xfrm-state', 'class'] as const) assert.equal(await answer(topic), '', topic);
});

test('what the kernel refuses to route is an answer', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['10.99.1.1', 'EINVAL'], ['10.98.1.1', 'EHOSTUNREACH'], ['10.97.1.1', 'EACCES'], ['8.8.8.8', 'ENETUNREACH'], ['2001:db8:2::1', 'EINVAL'], ['10.9.0.9 oif nosuch', 'ENODEV'],
  ];
  for (const [argument, errno] of cases) assert.equal((await json('route-get', argument)).errno, errno, argument);
  const [got] = await json('route-get', '10.9.0.9 mark 3');
  assert.deepEqual([got.dev, got.prefsrc], ['d0', '10.9.0.1']);
  const [in_] = await json('route-get', '10.9.0.1 from 10.9.0.200 iif d0');
  assert.deepEqual([in_.type, in_.dev], ['local', 'lo']);
});

test('filters by the place they hang', async () => {
  assert.deepEqual(await json('filter', 'd1'), { root: [] });
  if (trySh('tc qdisc add dev d1 clsact')) assert.deepEqual(await json('filter', 'd1'), { root: [], ingress: [], egress: [] });
  const { body } = await snapshots.ask({ topic: 'filter', netns: ref.inode, argument: 'nosuch' });
  assert.ok(isUnavailable(body) && body.unavailable === 'failed');
});

test('interfaces with hostile names spoil no listing', async () => {
  const hostile = ['q"b', '\u001b[31mred', '\u00fc.100', 'back\\s', "'$(id)`", '\u0007\u0001'];
  for (const name of hostile) execFileSync('ip', ['-n', NAME, 'link', 'add', 'name', name, 'type', 'veth']);
  execFileSync('python3', ['-c', 'import subprocess,sys; subprocess.run([b"ip",b"-n",sys.argv[1].encode(),b"link",b"add",b"name",b"\\xff\\xfe",b"type",b"veth"],check=True)', NAME]);
  try {
    const names = (await json('link')).map((l: { ifname: string }) => l.ifname);
    for (const name of hostile) assert.ok(names.includes(name), JSON.stringify(name));
    for (const topic of ['address', 'qdisc', 'bridge-fdb', 'neighbour', 'route6'] as const) assert.ok(Array.isArray(await json(topic)), topic);
    const lines = (await answer('sysctl', 'net/ipv4/conf/*/rp_filter')).split('\n');
    assert.ok(lines.some((l) => l.startsWith('net/ipv4/conf/\u00fc.100/rp_filter = ')));
    assert.match(await answer('sysctl', 'net/ipv4/conf/\u00fc.100/rp_filter'), /^[0-2]$/);
    execFileSync('ip', ['-n', NAME, 'link', 'set', "'$(id)`", 'up']);
    assert.deepEqual(await json('filter', "'$(id)`"), { root: [] });
  } finally {
    for (const name of hostile) execFileSync('ip', ['-n', NAME, 'link', 'delete', name]);
  }
});

test('files and processes are those of the namespace', async () => {
  assert.match(await answer('proc', 'net/dev'), /^ *d0:/m);
  assert.match(await answer('proc', 'net/route'), /^d0\t/m);
  const child = spawn('ip', ['netns', 'exec', NAME, 'sleep', '30'], { stdio: 'ignore' });
  try {
    let all: { comm: string; pid: number; netns: number }[] = [];
    for (let i = 0; i < 100 && !all.some((p) => p.comm === 'sleep'); i++) {
      await new Promise((go) => setTimeout(go, 10));
      all = await json('processes');
    }
    assert.deepEqual(all.map((p) => [p.comm, p.pid, p.netns]), [['sleep', child.pid, ref.inode]]);
    const byPid = registry.resolve(String(child.pid));
    assert.ok(!isUnavailable(byPid) && byPid.inode === ref.inode && byPid.name === NAME);
  } finally {
    child.kill('SIGKILL');
  }
});

test('sockets and conntrack come as netlink messages', async () => {
  for (const [topic, argument] of [['sockets', 'udp'], ['sockets', 'tcp6'], ['conntrack-table'], ['conntrack-stats']] as const) {
    const { body } = await snapshots.ask({ topic, netns: ref.inode, ...(argument === undefined ? undefined : { argument }) });
    if (isUnavailable(body) && body.unavailable === 'unsupported') continue; // conntrack is not in this kernel
    assert.ok(body instanceof Uint8Array, `${topic}: ${JSON.stringify(body)}`);
    if (topic === 'sockets' && body.length === 0) continue; // nobody has one here: an empty listing is an answer
    assert.ok(body.length >= 16, topic);
    const messages = new DataView(body.buffer, body.byteOffset, body.byteLength);
    assert.ok(messages.getUint32(0, true) >= 16 && messages.getUint32(0, true) <= body.length); // nlmsg_len of the first
  }
});

test('without privilege the own namespace still answers, and refusals say what would help', () => {
  const program = `
    import { createSnapshots } from ${JSON.stringify(new URL('../../src/sources/snapshot/index.ts', import.meta.url).href)};
    const s = createSnapshots({ netnsPath: () => '/run/netns/${NAME}' });
    const own = (await import('node:fs')).statSync('/proc/self/ns/net').ino;
    const answers = {};
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    for (const [name, question] of Object.entries({ link: { topic: 'link', netns: own }, snmp: { topic: 'proc', netns: own, argument: 'net/snmp' }, nft: { topic: 'nft', netns: own }, other: { topic: 'link', netns: ${ref.inode} }, bpf: { topic: 'bpf-programs' } }))
      answers[name] = (await s.ask(question)).body;
    console.log(JSON.stringify(answers));`;
  const told = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
  assert.ok(Array.isArray(JSON.parse(told.link)));
  assert.match(told.snmp, /^Ip: /);
  for (const refusal of [told.nft, told.other, told.bpf]) assert.deepEqual([refusal.unavailable, typeof refusal.fix], ['permission', 'string'], JSON.stringify(refusal));
});

test('a wrong name brings the nearest right one', () => {
  const wrong = registry.resolve(`${NAME}x`);
  assert.ok(isUnavailable(wrong) && wrong.unavailable === 'missing');
  assert.equal(wrong.why, `no namespace has this name; did you mean ${NAME}?`);
});

test('a first look at everything takes well under a quarter of a second', async () => {
  const questions: readonly (readonly [Topic, string?])[] = [
    ['nft'], ['iptables'], ['ip6tables'], ['iptables-legacy'], ['ip6tables-legacy'], ['ebtables'], ['arptables'], ['link'], ['address'], ['route'], ['route6'], ['rule'], ['neighbour'], ['qdisc'],
    ['proc', 'net/snmp'], ['proc', 'net/snmp6'], ['proc', 'net/netstat'], ['proc', 'net/softnet_stat'], ['sysctl', 'net/ipv4/conf/*/rp_filter'],
  ];
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const began = performance.now();
    await Promise.all(questions.map(([topic, argument]) => answer(topic, argument)));
    took.push(performance.now() - began);
  }
  assert.ok(took.toSorted((a, b) => a - b)[2]! < 250, `ms: ${took.map((ms) => ms.toFixed(0)).join(' ')}`);
});

test('a namespace that is deleted while held can still be read', async () => {
  const name = `${NAME}-b`;
  execFileSync('ip', ['netns', 'add', name]);
  const own = openNetnsRegistry();
  const found = own.resolve(name);
  assert.ok(!isUnavailable(found));
  assert.ok(!isUnavailable(own.hold(found)));
  const reader = createSnapshots({ netnsPath: own.path });
  execFileSync('ip', ['netns', 'delete', name]);
  const { body } = await reader.ask({ topic: 'link', netns: found.inode });
  assert.ok(typeof body === 'string' && JSON.parse(body).length >= 1, JSON.stringify(body));
  own.close();
  assert.equal(own.path(found.inode), undefined);
  const gone = await reader.ask({ topic: 'link', netns: found.inode });
  assert.ok(isUnavailable(gone.body) && gone.body.unavailable === 'missing');
  reader.close();
});
