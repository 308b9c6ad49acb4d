import type { Netns } from '../base/brand.ts';
import { shellQuote } from '../base/text.ts';
import type { Evidence } from '../model/evidence.ts';

/** How to speak of a namespace in a sentence: "namespace blue", "this host's own namespace". */
export function netnsText(evidence: Evidence, netns: Netns): string {
  if (netns === 0) return 'a network namespace that this probe cannot tell';
  const name = evidence.host.netnsNames.get(netns);
  if (name !== undefined) return `network namespace ${name}`;
  return netns === evidence.host.home ? 'this network namespace' : `network namespace net:[${netns}]`;
}

/**
 * A command line that runs in a namespace from the root namespace as it is. `command` is shell text already.
 * So also where whydrop itself runs in a named one. A namespace without a name is entered through a process that lives in it, when `pid` is known.
 */
export function inNetns(evidence: Evidence, netns: Netns, command: string, pid?: number): string {
  const name = evidence.host.netnsNames.get(netns);
  if (name !== undefined) return `ip netns exec ${shellQuote(name)} ${command}`;
  return netns === evidence.host.home || pid === undefined ? command : `nsenter -t ${pid} -n ${command}`;
}

/** `ip`, `tc` or `bridge` with `-n NAME` where that is due: `ip -n blue route del …`. */
export function iproute(evidence: Evidence, netns: Netns, tool: 'ip' | 'tc' | 'bridge', rest: string, pid?: number): string {
  const name = evidence.host.netnsNames.get(netns);
  if (name !== undefined) return `${tool} -n ${shellQuote(name)} ${rest}`;
  return netns === evidence.host.home || pid === undefined ? `${tool} ${rest}` : `nsenter -t ${pid} -n ${tool} ${rest}`;
}
