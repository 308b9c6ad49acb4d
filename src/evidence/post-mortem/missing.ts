import type { DropEvent } from '../../model/event.ts';
import type { Collected } from './collected.ts';
import type { PostMortemFacts } from './facts.ts';

/** What one would ask the engineer for, most telling first. Only what bears on the losses that were seen. */
export function missingPieces(facts: PostMortemFacts, collected: Collected, drops: readonly DropEvent[], kernelKnown: boolean): PostMortemFacts['missing'] {
  const missing: { what: string; wouldTell: string }[] = [];
  const ask = (what: string, wouldTell: string): void => void missing.push({ what, wouldTell });
  const stats = collected.of('counters').filter((c) => c.record.file === 'stat/nf_conntrack' || c.record.file === 'conntrack -S');
  const netfilter = drops.some((d) => /^nf_hook_slow|^nft_do_chain/.test(d.place.name ?? '') || d.reason.name === 'NETFILTER_DROP') || facts.failedSends.length > 0 || facts.conntrack.length > 0;
  if (netfilter && facts.conntrack.length === 0) {
    if (stats.length === 0) ask('two snapshots of /proc/net/stat/nf_conntrack, with the problem in between (none is among the files)', 'whether insert_failed grew: that is the number of packets lost to the race, by CPU');
    else ask('a second snapshot of /proc/net/stat/nf_conntrack (only one is among the files)', 'how far insert_failed and drop grew while the problem happened');
  }
  if (netfilter && facts.rules.length === 0) ask('the rules: iptables-save -c and nft -j list ruleset (none are among the files)', 'whether a rule could have dropped the packets, by its counter');
  if (netfilter && facts.deletedByRequest === 0 && collected.of('conntrack-listing').length === 0) ask('conntrack -L once a second, with date, while it happens', 'whether entries vanish that still had time to live');
  if (netfilter && collected.of('log').every((l) => l.record.sign === undefined)) ask('the log of the program whose packets are lost', 'whether and when it was told Operation not permitted, and by which peers');
  if (netfilter && facts.deletedByRequest === 0) ask('conntrack -E -o timestamp,id -e DESTROY --buffer-size 67108864', 'when entries were deleted all at once, and by which process (newer conntrack-tools print its port id)');
  if (netfilter && collected.of('trace').every((t) => t.record.event !== 'sched_process_exec') && collected.of('command').length === 0) ask('what ran at those times: shell history, cron, keepalived and failover scripts, logs of the VPN\'s and firewall\'s management programs, or sched_process_exec events', 'which program asked to delete the entries');
  const nameless = drops.filter((d) => d.place.name === undefined && d.place.address !== 0n);
  if (nameless.length > 0) ask('/proc/kallsyms of that boot (as root)', `which function dropped at ${[...new Set(nameless.map((d) => `0x${d.place.address.toString(16)}`))].slice(0, 4).join(', ')}`);
  if (drops.some((d) => d.stack.length === 0 && d.netns === collected.home)) ask(stacksFrom(collected), 'at which hook they were dropped');
  else if (drops.length === 0 && netfilter) ask('a trace of the drops: events/skb/kfree_skb of tracefs with options/stacktrace', 'where the packets were dropped');
  if (!facts.joined) ask('both clocks at one moment: date +%s.%N; cat /proc/uptime', 'which traced drop belongs to which line of the log');
  if (!kernelKnown || /[x ]/.test(facts.kernel.release)) ask('uname -r', 'which changes of conntrack the kernel has');
  return missing;
}

/** How the tool at hand is asked for stacks. */
function stacksFrom(collected: Collected): string {
  const tools = new Set(collected.of('trace').filter((t) => t.record.stack.length === 0).map((t) => t.record.tool));
  if (tools.has('retis')) return 'stacks of the drops: retis collect --stack';
  if (tools.has('pwru')) return 'stacks of the drops: pwru --output-stack';
  return tools.has(undefined) || tools.has('trace.dat') ? 'stacks of the drops: echo 1 > options/stacktrace, then events/skb/kfree_skb (trace-cmd record -T, perf record -g)' : 'stacks of the drops: echo 1 > options/stacktrace, then events/skb/kfree_skb';
}
