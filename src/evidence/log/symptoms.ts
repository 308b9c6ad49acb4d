import { mono, type Mono, type Netns } from '../../base/brand.ts';
import { recogniseLogLine } from '../../formats/app-log.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { LogSign } from '../../model/log-sign.ts';
import type { LogTail } from '../../model/process.ts';
import type { LogSymptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { fact } from '../fact.ts';
import { processesIn } from '../process/facts.ts';
import { arrayOf, integer, json, record, text } from '../process/json.ts';

/** Programs that throw packets away themselves and tell of it in a log only: VPN, IPsec and overlay daemons. */
const DAEMONS = /^(?:openvpn|wireguard|wg-|boringtun|charon|strongswan|pluto|racoon|iked|ipsec|tincd|nebula|tailscaled|zerotier|softether|vpn|openconnect|fastd|edge|supernode|xl2tpd|l2tp|vtund|ocserv|gost|shadowsocks|ss-)/i;
/** The kinds that a cause explains; the others come with a failed call or a drop that says more. */
const TOLD: ReadonlySet<LogSign['kind']> = new Set(['key-mismatch']);
/** Daemons looked at in one namespace, and lines of one log at once. */
const MOST_DAEMONS = 16;
const MOST_LINES = 200;

/**
 * Lines in daemons' logs that tell of packets thrown away in user space, newer than `since`. What has not been read
 * yet is asked for by the way; polling is up to the engine.
 */
export function logSymptoms(evidence: Evidence, netns: Netns, since: Mono): LogSymptom[] {
  const processes = processesIn(evidence, netns);
  if (isUnavailable(processes)) return [];
  const daemons = processes.filter((p) => DAEMONS.test(p.comm) || DAEMONS.test(p.exe?.slice(p.exe.lastIndexOf('/') + 1) ?? '')).slice(0, MOST_DAEMONS);
  return daemons.flatMap((daemon) => {
    const tails = logTails(evidence, daemon.pid);
    return isUnavailable(tails) ? [] : tails.flatMap((tail) => inTail(evidence, netns, since, daemon.pid, tail));
  });
}

/** The ends of the logs that a process writes. */
export function logTails(evidence: Evidence, pid: number): Maybe<readonly LogTail[]> {
  return fact(evidence, { topic: 'log-tail', argument: String(pid) }, 'log tails', (body): Maybe<readonly LogTail[]> => {
    const value = json(body, `reading the logs of process ${pid}`);
    if (isUnavailable(value)) return value;
    return arrayOf(value).flatMap((item) => {
      const r = record(item);
      const path = text(r['path']);
      const lines = text(r['text']);
      return path === undefined || lines === undefined ? [] : [{ path, text: lines, size: integer(r['size']) ?? 0, mtime: integer(r['mtime']) ?? 0 }];
    });
  }, 'any');
}

const SECOND = 1000;
const QUARTER = 15 * 60 * SECOND;

function inTail(evidence: Evidence, netns: Netns, since: Mono, pid: number, tail: LogTail): LogSymptom[] {
  const wall = Date.parse(evidence.iso(since)); // ms, UTC
  if (tail.mtime * SECOND + SECOND <= wall) return [];
  const lines = tail.text.split('\n').slice(-MOST_LINES);
  const zone = zoneOf(lines, tail.mtime * SECOND);
  const found: LogSymptom[] = [];
  for (const line of lines) {
    const sign = recogniseLogLine(line);
    if (sign === undefined || !TOLD.has(sign.kind)) continue;
    const at = sign.time === undefined ? undefined : timeOf(sign.time, zone, tail.mtime * SECOND);
    // whole seconds in most logs: a line of the second in which watching began counts
    if (at !== undefined && at + SECOND <= wall) continue;
    const first = at === undefined || at < wall ? since : mono(since + BigInt(Math.round(at - wall)) * 1_000_000n);
    found.push({ kind: 'log', netns, first, pid, file: tail.path, line });
  }
  return found;
}

/**
 * Logs rarely name their time zone. The last stamped line was written when the file changed last, so the difference,
 * rounded to quarters of an hour, is the zone.
 */
function zoneOf(lines: readonly string[], changed: number): number {
  for (let i = lines.length - 1; i >= 0; i--) {
    const stamp = stampOf(lines[i] ?? '');
    if (stamp !== undefined) return stamp.zone ? 0 : Math.round((changed - withYear(stamp, changed)) / QUARTER) * QUARTER;
  }
  return 0;
}

/** Any line's stamp: a line that tells of nothing still shows the zone. */
function stampOf(line: string): LogSign['time'] | undefined {
  return recogniseLogLine(`${line} Authenticate/Decrypt packet error: x`)?.time;
}

function withYear(time: NonNullable<LogSign['time']>, changed: number): number {
  if (time.year) return time.ms;
  const date = new Date(time.ms);
  const year = new Date(changed).getUTCFullYear();
  const at = Date.UTC(year, date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds());
  return at - changed > 86_400_000 * 2 ? Date.UTC(year - 1, date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()) : at;
}

function timeOf(time: NonNullable<LogSign['time']>, zone: number, changed: number): number {
  return time.zone ? time.ms : withYear(time, changed) + zone;
}
