import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask, fact } from '../fact.ts';

/** The numbers in one sysctl, e.g. `net/ipv4/ip_local_port_range` → [32768, 60999]. */
export function sysctlNumbers(evidence: Evidence, netns: Netns, path: string): Maybe<readonly number[]> {
  return fact(evidence, ask('sysctl', netns, path), 'sysctl numbers', (body): Maybe<readonly number[]> => {
    const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
    const numbers = text.replace(/^.*=/, '').trim().split(/\s+/).map(Number);
    return numbers.length > 0 && numbers.every((n) => Number.isFinite(n)) ? numbers : { unavailable: 'malformed', what: `reading sysctl ${path}`, why: `${JSON.stringify(text.slice(0, 40))} is not a number` };
  }, 'any');
}

/** One number of a sysctl; undefined when it cannot be read (yet). */
export function sysctlNumber(evidence: Evidence, netns: Netns, path: string): number | undefined {
  const numbers = sysctlNumbers(evidence, netns, path);
  return isUnavailable(numbers) ? undefined : numbers[0];
}
