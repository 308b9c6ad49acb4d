import { isUnavailable } from '../model/unavailable.ts';
import { namedNetns } from '../sources/netns.ts';
import { labFolder } from './lab-faults.ts';
import { readText } from '../sources/read.ts';

/** Can be made wherever there is iptables, and is over in seconds. */
const DEMO = 'netfilter.rule-drop';

/** `whydrop` alone: three commands worth trying, chosen for this host. */
export async function firstRun(): Promise<void> {
  const suggestions: (readonly [string, string])[] = [];
  if (process.getuid?.() !== 0) {
    suggestions.push(['sudo whydrop watch', 'watch this host (probes need root, or CAP_BPF and CAP_PERFMON)'], ['whydrop doctor', 'what this kernel and your user allow']);
  } else {
    const names = namedNetns().map((n) => n.name);
    suggestions.push(names.length > 0 ? ['whydrop watch --all-netns', `watch this host and its ${names.length} named network namespaces (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''})`] : ['whydrop watch', 'watch this network namespace, live']);
    const conntrack = readText('/proc/sys/net/netfilter/nf_conntrack_count');
    suggestions.push(isUnavailable(conntrack) ? ['whydrop why -- ping -c 3 192.0.2.1', 'run a program and explain what it loses'] : ['whydrop explain conntrack.insert-race', 'connection tracking is in use here: the cause that whydrop was built for']);
  }
  if (process.getuid?.() === 0 && labFolder() !== undefined) suggestions.push([`whydrop lab run ${DEMO} --watch --fix`, 'a real fault in throw-away namespaces: seen live, explained, fixed, gone']);
  else suggestions.push(['whydrop explain "Operation not permitted"', 'what an error message can mean']);
  const width = Math.max(...suggestions.map(([command]) => command.length));
  process.stdout.write(`whydrop: why did this packet not arrive, who did it, and what do I change?\n\nWorth trying here:\n\n${suggestions.slice(0, 3).map(([command, what]) => `  ${command.padEnd(width)}   ${what}`).join('\n')}\n\nAll commands: whydrop --help\n`);
}
