import { randomBytes } from 'node:crypto';
import type { RawRecord } from '../model/record.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { createMapping, type Mapping } from './redact/mapping.ts';
import { createRedaction, namesOfRecords } from './redact/records.ts';
import { scan } from './redact/scan.ts';
import { namesOf } from './redact/texts.ts';
import { openRecording } from './replay-command.ts';
import { writeRecording } from './write-recording.ts';

export interface Redacted {
  readonly records: readonly RawRecord[];
  readonly replaced: { readonly inet: number; readonly mac: number; readonly names: number };
  readonly leftOut: ReadonlyMap<string, number>;
}

/** Keys are tried until no replacement is itself one of the originals: then a scan can tell them apart. */
const TRIES = 50;

/**
 * Replaces addresses, names and payload in raw records, the same original always by the same replacement; what cannot be
 * rewritten is left out. Ends with a scan of the result: what is given back holds none of the originals.
 */
export function redact(records: readonly RawRecord[], newKey: () => Uint8Array = () => randomBytes(32)): Redacted {
  const host = records.find((r) => r.record === 'host');
  if (host === undefined) throw new UsageError('the recording holds no records');
  const known = namesOfRecords(records);
  for (let round = 0; round < TRIES; round++) {
    const mapping = createMapping(newKey());
    const redaction = createRedaction(host, mapping, namesOf(known, mapping));
    const made = records.map(redaction.record);
    if (meets(mapping)) continue;
    const left = scan(made, mapping);
    if (left.length > 0) {
      const [first] = left;
      throw new EnvironmentError(`redact: ${left.length} originals are still there (the first: ${first?.what} in a record ${first?.record}); nothing was written`, 'report it; whydrop replay FILE --json gives the verdicts alone');
    }
    const { inet, mac, names } = mapping.seen;
    return { records: made, replaced: { inet: inet.size, mac: mac.size, names: names.size }, leftOut: redaction.leftOut };
  }
  throw new EnvironmentError('redact: too many addresses of one small network to replace each by another outside of them', 'cut the recording with replay --from and --to, or hand on whydrop report');
}

function meets({ seen }: Mapping): boolean {
  for (const image of seen.inet.values()) if (seen.inet.has(image)) return true;
  for (const image of seen.mac.values()) if (seen.mac.has(image)) return true;
  return false;
}

/** For reports and exports. */
export const redactedForSharing = (records: readonly RawRecord[]): readonly RawRecord[] => redact(records).records;

/** `whydrop redact FILE -o OUT`. */
export function redactCommand(path: string, options: { readonly output: string }): void {
  const { records, replaced, leftOut } = redact(openRecording(path));
  writeRecording(options.output, records);
  process.stderr.write(`wrote ${options.output}: ${replaced.inet} addresses, ${replaced.mac} MAC addresses and ${replaced.names} names replaced; payload and command lines are gone; a scan found none of the originals\n`);
  for (const [what, count] of leftOut) process.stderr.write(`  left out (${count}): ${what}\n`);
  process.stderr.write('  kept: ports, protocols, times, pids, uids, counters, kernel symbols, loopback and multicast addresses\n');
}
