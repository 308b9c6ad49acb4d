import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { boot, kernel, stream, type KernelVersion, type Seen, type Stream } from './kernels.ts';

/** What each fault must be found to be: where, cause, the culprit's words, how many of how many. guest/faults.sh makes them. */
const FAULTS: readonly { readonly fault: string; readonly netns: string; readonly cause: string; readonly culprit: RegExp; readonly symbol?: RegExp }[] = [
  { fault: 'rule', netns: 'rule-a', cause: 'netfilter.rule-drop', culprit: /OUTPUT.*(--dport 9000 -j DROP|udp dport 9000 counter drop)/, symbol: /^nft_do_chain/ },
  { fault: 'legacy', netns: 'legacy-a', cause: 'netfilter.rule-drop', culprit: /rule 1 of OUTPUT: iptables-legacy .*--dport 9000 -j DROP/, symbol: /^nf_hook_slow/ },
  { fault: 'set', netns: 'set-b', cause: 'netfilter.rule-drop', culprit: /ip saddr @bad drop.*10\.0\.0\.1/, symbol: /^nft_do_chain/ },
  { fault: 'policy', netns: 'policy-b', cause: 'netfilter.policy-drop', culprit: /inet f.*chain in.*policy drop/, symbol: /^nft_do_chain/ },
  { fault: 'nobody', netns: 'nobody-b', cause: 'socket.no-listener', culprit: /udp 10\.0\.0\.2:9000/, symbol: /^__udp4_lib_rcv/ },
  { fault: 'noroute', netns: 'noroute-a', cause: 'route.no-route', culprit: /no route to 192\.0\.2\.1/ },
  { fault: 'rcvbuf', netns: 'rcvbuf-b', cause: 'socket.rcvbuf-full', culprit: /2304 bytes/ },
  { fault: 'blackhole', netns: 'blackhole-r', cause: 'route.blackhole', culprit: /blackhole 203\.0\.113\.0\/24/ },
  { fault: 'rpfilter', netns: 'rpfilter-b', cause: 'route.rp-filter', culprit: /rp_filter/ },
  { fault: 'nofwd', netns: 'nofwd-r', cause: 'route.forwarding-disabled', culprit: /ip_forward = 0/ },
  { fault: 'ttl', netns: 'ttl-r', cause: 'ip.ttl-exceeded', culprit: /10\.0\.0\.1/ },
  { fault: 'neigh', netns: 'neigh-a', cause: 'neigh.unresolved', culprit: /10\.0\.0\.77 on eth0/ },
];
interface Sent {
  readonly sent: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly arrived?: number;
  /** Clashes that conntrack counted as resolved. */
  readonly resolved?: number;
}
const said = (incidents: readonly Seen[]): string => incidents.map((i) => `${i.where.netns.name ?? '?'} ${i.cause.id} ${i.count}: ${i.culprit.text}`).join('\n') || 'nothing';

/** Boots the kernel once, with all faults in it, and tests what whydrop said of each. */
export async function testOnKernel(version: KernelVersion): Promise<void> {
  const found = kernel(version);
  if ('why' in found) {
    test(`${version}: whydrop on this kernel`, { skip: found.why });
    return;
  }
  const vm = await boot(found.folder, 'bash ./faults', { seconds: 500 });
  describe(`kernel ${version}`, () => {
    after(() => vm.remove());
    const streams = new Map<string, Stream>();
    const of = (name: string): { readonly stream: Stream; readonly sent: Readonly<Record<string, Sent>> } => {
      const text = vm.file(`${name}.jsonl`);
      assert.notEqual(text, '', `${name}: nothing came back. ${vm.file(`${name}.err`)}${vm.text}`);
      const s = streams.get(name) ?? stream(text);
      streams.set(name, s);
      return { stream: s, sent: JSON.parse(vm.file(`${name}.sent.json`)) as Readonly<Record<string, Sent>> };
    };

    test(`${version}: the machine ran and every probe of it is armed`, () => {
      assert.equal(vm.status, 0, vm.text);
      const doctor = JSON.parse(vm.file('doctor.json')) as { kernel: string; probes: Stream['armed'] };
      assert.ok(doctor.kernel.startsWith(`${version}.`), doctor.kernel);
      for (const id of ['drop-bpf', 'drop-tracefs', 'calls-bpf', 'calls-tracefs', 'connects-bpf', 'exec-bpf', 'conntrack-events', 'symbols']) {
        const probe = doctor.probes.find((p) => p.id === id);
        assert.equal(probe?.state, 'armed', `${id}: ${probe?.why ?? 'not there'}`);
      }
    });

    for (const [i, { fault, netns, cause, culprit, symbol }] of FAULTS.entries())
      test(`${version}: ${fault} is ${cause}, counted exactly`, () => {
        const { stream: s, sent } = of(i < 6 ? 'bpf-1' : 'bpf-2');
        const here = s.incidents.filter((i) => i.where.netns.name === netns);
        assert.deepEqual(here.map((i) => i.cause.id), [cause], said(here));
        const [incident] = here;
        const sends = sent[fault];
        assert.ok(incident !== undefined && sends !== undefined);
        assert.equal(incident.count, sends.sent - (sends.arrived ?? 0));
        assert.match(incident.culprit.text, culprit);
        if (symbol !== undefined) assert.match(incident.where.symbol ?? '', symbol);
        for (const [errno, n] of Object.entries(sends.errors)) {
          assert.equal(n, sends.sent);
          assert.ok(incident.victims.some((v) => v.errno === errno && v.syscall === 'sendto' && v.process?.comm === 'python3'), JSON.stringify(incident.victims));
        }
      });

    test(`${version}: two connections given one translated port: the rule that did it, no flush, both tuples`, (t) => {
      const { stream: s, sent } = of('snat');
      const lost = sent['snat']?.errors['EPERM'] ?? 0;
      if (lost === 0) return t.skip('no pair of 1,500 raced');
      assert.deepEqual(s.incidents.map((i) => i.cause.id), ['conntrack.insert-race'], said(s.incidents));
      const [race] = s.incidents;
      assert.ok(race !== undefined);
      assert.equal(race.count, lost);
      assert.equal(race.culprit.kind, 'rule', race.culprit.text);
      assert.match(race.culprit.text, /udp dport 5353 snat to 10\.0\.0\.1/);
      // nf_conntrack is a module here: the packet's entry was read with the types of its split BTF
      const text = race.evidence.map((e) => e.text).join('\n');
      assert.match(text, /the packet's conntrack entry was not in the table yet: .*10\.0\.0\.1{1,2}:2\d{4}.*10\.0\.0\.2:5353/);
      assert.doesNotMatch(`${race.explanation} ${race.culprit.text}`, /conntrack -F|flush/);
    });

    test(`${version}: two senders of one flow, flushed meanwhile: the clashes are resolved, and nothing is said`, (t) => {
      const { stream: s, sent } = of('merged');
      assert.equal(sent['merged']?.errors['EPERM'], 0);
      assert.deepEqual(s.incidents, [], said(s.incidents));
      if ((sent['merged']?.resolved ?? 0) === 0) t.skip('no pair of 1,500 clashed');
    });

    test(`${version}: the connection table is full: the limit, and who holds the entries`, () => {
      const { stream: s, sent } = of('full');
      const lost = sent['full']?.errors['EPERM'] ?? 0;
      assert.ok(lost > 20, JSON.stringify(sent));
      assert.deepEqual(s.incidents.map((i) => i.cause.id), ['conntrack.table-full'], said(s.incidents));
      const [incident] = s.incidents;
      assert.equal(incident?.count, lost);
      assert.match(incident?.culprit.text ?? '', /nf_conntrack_max = 60\b.*100 % of the entries come from 10\.0\.0\.1, 100 % go to 10\.0\.0\.2/);
    });

    test(`${version}: without BPF programs the rule and the TTL are found in tracefs`, () => {
      const { stream: s, sent } = of('tracefs');
      assert.equal(s.armed.find((p) => p.id === 'drop-tracefs')?.state, 'armed');
      const rule = s.incidents.find((i) => i.cause.id === 'netfilter.rule-drop');
      assert.ok(rule !== undefined, said(s.incidents));
      assert.equal(rule.count, sent['rule']?.sent);
      assert.match(rule.culprit.text, /iptables .*--dport 9000 -j DROP/);
      const ttl = s.incidents.find((i) => (i.where.symbol ?? '').startsWith('ip_forward'));
      assert.equal(ttl?.count, sent['ttl']?.sent, said(s.incidents));
    });
  });
}
