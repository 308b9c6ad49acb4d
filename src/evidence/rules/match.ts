import type { Element, Ipset, IpsetEntry, Key, Match, Operand, Rule, Ruleset, Span, Table, Value } from '../../model/ruleset.ts';
import { ABSENT, field, type FieldValue, type PacketView } from './packet.ts';

/** Three-valued: 1 matches, 0 does not, -1 could not be evaluated. */
export type Truth = 1 | 0 | -1;
export type Test = (view: PacketView) => Truth;

/** A rule made ready: its tests in the order of their cost, cheapest first. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly tests: readonly { readonly match: Match; readonly test: Test }[];
}

export const not = (t: Truth): Truth => (t === -1 ? -1 : t === 1 ? 0 : 1);

export function compileRule(ruleset: Ruleset, table: Table, rule: Rule): CompiledRule {
  const tests = rule.matches.map((match) => ({ match, test: compileMatch(ruleset, table, match) }));
  tests.sort((a, b) => cost(a.match) - cost(b.match));
  return { rule, tests };
}

const cost = (m: Match): number => (m.kind === 'lookup' ? (typeof m.set === 'string' ? 2 : 1) : m.kind === 'ipset' ? 3 : m.kind === 'any' ? 2 : 4);

export function compileMatch(ruleset: Ruleset, table: Table, match: Match): Test {
  switch (match.kind) {
    case 'lookup': {
      const elements = typeof match.set === 'string' ? table.sets.get(match.set)?.elements : match.set;
      return elements === undefined ? () => -1 : lookupTest(match.keys, elements, match.negate);
    }
    case 'ipset': {
      const { set, directions, negate } = match;
      return (view) => {
        const hit = ipsetHit(ruleset.ipsets, set, directions, view, 0);
        return hit === undefined ? -1 : hit === false ? (negate ? 1 : 0) : negate ? 0 : 1;
      };
    }
    case 'any': {
      const tests = match.of.map((m) => compileMatch(ruleset, table, m));
      const { negate } = match;
      return (view) => {
        let all: Truth = 0;
        for (const test of tests) {
          const t = test(view);
          if (t === 1) return negate ? 0 : 1;
          if (t === -1) all = -1;
        }
        return negate ? not(all) : all;
      };
    }
    case 'stateful': case 'opaque': return () => -1;
  }
}

const matchesText = (pattern: string, value: string): boolean => (pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) && (pattern !== '*' || value !== '') : pattern === value);

export function within(span: Span, value: Value): boolean {
  if (typeof value === 'string') return typeof span.low === 'string' && matchesText(span.low, value);
  return typeof span.low !== 'string' && typeof span.high !== 'string' && span.low <= value && value <= span.high;
}

/** A field with its operand's mask applied. */
export function operandValue(view: PacketView, o: Operand): FieldValue {
  const value = field(view, o.key);
  if (o.mask === undefined || typeof value === 'string' || typeof value === 'symbol' || value === undefined) return value;
  if (typeof value === 'bigint') return value & BigInt(o.mask);
  return typeof o.mask === 'bigint' ? Number(BigInt(value) & o.mask) : (value & o.mask) >>> 0;
}

function lookupTest(keys: readonly Operand[], elements: readonly Element[], negate: boolean): Test {
  const hit: Truth = negate ? 0 : 1;
  const miss: Truth = negate ? 1 : 0;
  const [operand] = keys;
  if (keys.length === 1 && operand !== undefined) {
    const single = elements.length === 1 ? elements[0]?.parts[0] : undefined;
    if (single !== undefined && typeof single.low === 'number' && typeof single.high === 'number' && operand.mask === undefined) {
      const { low, high } = single;
      const { key } = operand;
      return (view) => {
        const value = field(view, key);
        return typeof value === 'number' ? (low <= value && value <= high ? hit : miss) : value === undefined ? -1 : value === ABSENT ? 0 : miss;
      };
    }
    if (single !== undefined && typeof single.low !== 'string') {
      return (view) => {
        const value = operandValue(view, operand);
        return value === ABSENT ? 0 : value === undefined ? -1 : within(single, value) ? hit : miss;
      };
    }
    const finder = singleFinder(elements);
    return (view) => {
      const value = operandValue(view, operand);
      return value === ABSENT ? 0 : value === undefined ? -1 : finder(value) !== undefined ? hit : miss;
    };
  }
  return (view) => {
    const values = keys.map((k) => operandValue(view, k));
    if (values.includes(ABSENT)) return 0;
    const found = findTuple(elements, values);
    return found === -1 ? -1 : found === undefined ? miss : hit;
  };
}

const finders = new WeakMap<readonly Element[], (value: Value) => Element | undefined>();

/** Finds the element of a one-key set: exact values by hash, intervals by bisection, name patterns one by one. */
export function singleFinder(elements: readonly Element[]): (value: Value) => Element | undefined {
  const known = finders.get(elements);
  if (known !== undefined) return known;
  const exact = new Map<Value, Element>();
  const wide: { low: number | bigint; high: number | bigint; element: Element }[] = [];
  const patterns: Element[] = [];
  for (const element of elements) {
    const span = element.parts[0];
    if (span === undefined) continue;
    if (typeof span.low === 'string' ? !span.low.endsWith('*') : span.low === span.high) exact.set(span.low, element);
    else if (typeof span.low === 'string' || typeof span.high === 'string') patterns.push(element);
    else wide.push({ low: span.low, high: span.high, element });
  }
  wide.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
  // nft's intervals do not overlap; listings of other sets may: then look at all
  const disjoint = wide.every((w, i) => i === 0 || (wide[i - 1] as (typeof wide)[number]).high < w.low);
  const find = (value: Value): Element | undefined => {
    const direct = exact.get(value);
    if (direct !== undefined) return direct;
    if (typeof value === 'string') return patterns.find((p) => matchesText((p.parts[0] as Span).low as string, value));
    if (!disjoint) return wide.find((w) => w.low <= value && value <= w.high)?.element;
    let from = 0;
    let to = wide.length - 1;
    while (from <= to) {
      const middle = (from + to) >> 1;
      const w = wide[middle] as (typeof wide)[number];
      if (value < w.low) to = middle - 1;
      else if (value > w.high) from = middle + 1;
      else return w.element;
    }
    return undefined;
  };
  finders.set(elements, find);
  return find;
}

/** The element of a concatenation; -1 when a part that would decide is not known. */
export function findTuple(elements: readonly Element[], values: readonly FieldValue[]): Element | undefined | -1 {
  let open = false;
  for (const element of elements) {
    let all: Truth = 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      const part = element.parts[i];
      if (part === undefined || typeof value === 'symbol') all = 0;
      else if (value === undefined) all = -1;
      else if (!within(part, value)) all = 0;
      if (all === 0) break;
    }
    if (all === 1) return element;
    if (all === -1) open = true;
  }
  return open ? -1 : undefined;
}

/** Which element of a lookup holds the packet; for the text of a verdict and for verdict maps. */
export function elementOf(table: Table, keys: readonly Operand[], set: string | readonly Element[], view: PacketView): Element | undefined | -1 {
  const elements = typeof set === 'string' ? table.sets.get(set)?.elements : set;
  if (elements === undefined) return -1;
  const values = keys.map((k) => operandValue(view, k));
  if (values.includes(ABSENT)) return undefined;
  if (values.length === 1) return values[0] === undefined ? -1 : singleFinder(elements)(values[0] as Value);
  return findTuple(elements, values);
}

/** The entry of an ipset that holds the packet; false: none; undefined: cannot be told. */
export function ipsetHit(sets: ReadonlyMap<string, Ipset>, name: string, directions: readonly ('src' | 'dst')[], view: PacketView, depth: number): IpsetEntry | false | undefined {
  const set = sets.get(name);
  if (set === undefined || depth > 4) return undefined;
  const version = field(view, 'nfproto');
  if (version === undefined || typeof version === 'symbol') return version === undefined ? undefined : false;
  const prefix = set.family === 6 || (set.type.startsWith('list:') && version === 10) ? 'ip6' : 'ip';
  let best: IpsetEntry | undefined;
  let bestSize: number | bigint | undefined;
  let open = false;
  for (const entry of set.entries) {
    const truth = entryTruth(sets, entry, directions, view, prefix, depth);
    if (truth === -1) open = true;
    if (truth !== 1) continue;
    // the longest prefix wins, and a nomatch entry takes it out again
    const net = entry.parts.find((p) => p.part === 'net');
    const size = net === undefined ? 0 : typeof net.span.low === 'bigint' ? (net.span.high as bigint) - net.span.low : Number(net.span.high) - Number(net.span.low);
    if (bestSize === undefined || size < bestSize) {
      best = entry;
      bestSize = size;
    }
  }
  if (best !== undefined) return best.except ? false : best;
  return open ? undefined : false;
}

function entryTruth(sets: ReadonlyMap<string, Ipset>, entry: IpsetEntry, directions: readonly ('src' | 'dst')[], view: PacketView, prefix: 'ip' | 'ip6', depth: number): Truth {
  let all: Truth = 1;
  for (const [i, part] of entry.parts.entries()) {
    const source = (directions[i] ?? directions.at(-1)) === 'src';
    let truth: Truth;
    switch (part.part) {
      case 'net': truth = holds(view, source ? `${prefix}.saddr` : `${prefix}.daddr`, part.span); break;
      case 'port': {
        const protocol = field(view, 'l4proto');
        truth = part.protocol !== undefined && protocol !== undefined && protocol !== part.protocol ? 0 : holds(view, source ? 'th.sport' : 'th.dport', part.span);
        break;
      }
      case 'mac': truth = holds(view, source ? 'ether.saddr' : 'ether.daddr', part.span); break;
      case 'mark': truth = holds(view, 'mark', part.span); break;
      case 'iface': truth = holds(view, source ? 'iifname' : 'oifname', { low: part.name, high: part.name }); break;
      case 'set': {
        const inner = ipsetHit(sets, part.name, directions, view, depth + 1);
        truth = inner === undefined ? -1 : inner === false ? 0 : 1;
        break;
      }
    }
    if (truth === 0) return 0;
    if (truth === -1) all = -1;
  }
  return all;
}

function holds(view: PacketView, key: Key, span: Span): Truth {
  const value = field(view, key);
  return value === ABSENT ? 0 : value === undefined || typeof value === 'symbol' ? -1 : within(span, value) ? 1 : 0;
}
