import type { Netns } from '../../base/brand.ts';
import { decodeBridgePorts, decodeBridgeVlans, decodeFdb } from '../../formats/bridge-json.ts';
import { decodeAddresses, decodeLinks, decodeNeighbours, decodeRouteGet, decodeRoutes, decodeRules } from '../../formats/ip-json.ts';
import { decodeSysctl } from '../../formats/sysctl-text.ts';
import { decodeClasses, decodeFilters, decodeQdiscs } from '../../formats/tc-json.ts';
import { decodeXfrmDefaults, decodeXfrmPolicies, decodeXfrmStates } from '../../formats/xfrm-text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { BridgePort, BridgeVlan, FdbEntry, InterfaceAddress, Link, Neighbour, PolicyRule, Qdisc, Route, RouteAnswer, TrafficClass, TrafficFilter, XfrmPolicy, XfrmState } from '../../model/network.ts';
import type { Question, Topic } from '../../model/question.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';

/** How old an answer may be: not older than the symptom, of any age, or from before the symptom. */
export type Age = 'fresh' | 'any' | 'before';

type List<T> = Maybe<readonly T[]>;

/** Reads one listing, decoded once an answer. Its inputs are the question's topic, namespace and argument. */
function list<T>(evidence: Evidence, question: Question, age: Age, decode: (source: string) => { readonly values: readonly T[]; readonly status: string }, part = ''): List<T> {
  const answer = age === 'fresh' ? evidence.answer(question) : age === 'any' ? evidence.lastAnswer(question) : evidence.before(question);
  if (isUnavailable(answer)) return answer;
  const key = `network\u0000${question.topic}\u0000${question.netns ?? ''}\u0000${question.argument ?? ''}\u0000${answer.time}${part}`;
  const known = evidence.memo.get(key);
  if (known !== undefined) return known as List<T>;
  const decoded = typeof answer.body === 'string' ? decode(answer.body) : undefined;
  const value: List<T> = decoded === undefined || decoded.status !== 'ok' ? { unavailable: 'malformed', what: `reading ${question.topic} ${question.argument ?? ''}`.trim(), why: 'the answer could not be decoded' } : decoded.values;
  evidence.memo.set(key, value, answer.body.length);
  return value;
}

const of = (topic: Topic, netns: Netns, argument?: string): Question => ask(topic, netns, argument);

export const links = (e: Evidence, n: Netns, age: Age = 'fresh'): List<Link> => list(e, of('link', n), age, decodeLinks);
export const addresses = (e: Evidence, n: Netns, age: Age = 'fresh'): List<InterfaceAddress> => list(e, of('address', n), age, decodeAddresses);
export const routes = (e: Evidence, n: Netns, family: 4 | 6, age: Age = 'fresh'): List<Route> => list(e, of(family === 4 ? 'route' : 'route6', n), age, (s) => decodeRoutes(s, family));
export const rules = (e: Evidence, n: Netns, family: 4 | 6, age: Age = 'fresh'): List<PolicyRule> => list(e, of(family === 4 ? 'rule' : 'rule6', n), age, (s) => decodeRules(s, family));
export const neighbours = (e: Evidence, n: Netns, age: Age = 'fresh'): List<Neighbour> => list(e, of('neighbour', n), age, decodeNeighbours);
export const bridgePorts = (e: Evidence, n: Netns, age: Age = 'fresh'): List<BridgePort> => list(e, of('bridge-link', n), age, decodeBridgePorts);
export const fdb = (e: Evidence, n: Netns, age: Age = 'fresh'): List<FdbEntry> => list(e, of('bridge-fdb', n), age, decodeFdb);
export const bridgeVlans = (e: Evidence, n: Netns, age: Age = 'fresh'): List<BridgeVlan> => list(e, of('bridge-vlan', n), age, decodeBridgeVlans);
export const qdiscs = (e: Evidence, n: Netns, age: Age = 'fresh'): List<Qdisc> => list(e, of('qdisc', n), age, decodeQdiscs);
export const classes = (e: Evidence, n: Netns, age: Age = 'fresh'): List<TrafficClass> => list(e, of('class', n), age, decodeClasses);
export const filters = (e: Evidence, n: Netns, device: string, age: Age = 'fresh'): List<TrafficFilter> => list(e, of('filter', n, device), age, decodeFilters);
export const xfrmPolicies = (e: Evidence, n: Netns): List<XfrmPolicy> => list(e, of('xfrm-policy', n), 'fresh', decodeXfrmPolicies);
export const xfrmBlockedByDefault = (e: Evidence, n: Netns): List<'in' | 'out' | 'fwd'> => list(e, of('xfrm-policy', n), 'fresh', decodeXfrmDefaults, 'defaults');
export const xfrmStates = (e: Evidence, n: Netns): List<XfrmState> => list(e, of('xfrm-state', n), 'fresh', decodeXfrmStates);

/** Lines of a file below /proc (`net/snmp`). */
export function procLines(e: Evidence, n: Netns, path: string, age: Age = 'fresh'): List<string> {
  return list(e, of('proc', n, path), age, (s) => ({ values: s.split('\n'), status: 'ok' }));
}

/** Sysctls by path; `path` may hold `*`. */
export function sysctls(e: Evidence, n: Netns, path: string, age: Age = 'fresh'): Maybe<ReadonlyMap<string, string>> {
  const pairs = list(e, of('sysctl', n, path), age, (s) => ({ values: [decodeSysctl(s, path)], status: 'ok' }));
  return isUnavailable(pairs) ? pairs : pairs[0] ?? new Map<string, string>();
}

export interface RouteQuery {
  readonly to: string;
  readonly from?: string;
  /** The packet came in here: the answer is the forwarding decision. Needs `from`. */
  readonly iif?: string;
  readonly oif?: string;
  readonly mark?: number;
  readonly tos?: number;
}

/** Asks the kernel for the route of this very packet. */
export function routeGet(evidence: Evidence, netns: Netns, q: RouteQuery): Maybe<RouteAnswer> {
  const words = [q.to];
  if (q.from !== undefined) words.push('from', q.from);
  if (q.iif !== undefined) words.push('iif', q.iif);
  if (q.oif !== undefined) words.push('oif', q.oif);
  if (q.tos !== undefined && q.tos !== 0) words.push('tos', `0x${q.tos.toString(16)}`);
  if (q.mark !== undefined && q.mark !== 0) words.push('mark', `0x${q.mark.toString(16)}`);
  const answers = list(evidence, of('route-get', netns, words.join(' ')), 'fresh', (s) => {
    const value = decodeRouteGet(s);
    return { values: value === undefined ? [] : [value], status: 'ok' };
  });
  if (isUnavailable(answers)) return answers;
  return answers[0] ?? { unavailable: 'malformed', what: `running ip route get ${words.join(' ')}`, why: 'the answer could not be decoded' };
}

export function linkNamed(evidence: Evidence, netns: Netns, name: string | undefined, age: Age = 'fresh'): Maybe<Link> {
  const all = links(evidence, netns, age);
  if (isUnavailable(all)) return all;
  return all.find((l) => l.name === name) ?? { unavailable: 'missing', what: `looking for interface ${name ?? '?'}`, why: 'there is none of that name' };
}
