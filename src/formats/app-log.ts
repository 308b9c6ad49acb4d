import { parseInet } from '../base/inet.ts';
import type { LogSign } from '../model/log-sign.ts';

/**
 * Recognises lines of network daemons that tell of lost or refused packets: by the words of strerror(3), by the words
 * that VPN, IPsec and routing daemons use, whatever stamp, host and program stand before them. Undefined for all
 * other lines.
 */
export function recogniseLogLine(line: string): LogSign | undefined {
  if (line.length > LONGEST) return undefined;
  const head = headOf(line);
  const message = head.message;
  const sign = signOf(message);
  if (sign === undefined) return undefined;
  const program = head.program ?? sign.program;
  return {
    kind: sign.kind,
    addresses: addressesIn(message),
    message,
    ...(program === undefined ? undefined : { program }),
    ...(head.pid === undefined ? undefined : { pid: head.pid }),
    ...(head.stamp === undefined ? undefined : { stamp: head.stamp }),
    ...(head.time === undefined ? undefined : { time: head.time }),
    ...(sign.errno === undefined ? undefined : { errno: sign.errno }),
    ...(sign.action === undefined ? undefined : { action: sign.action }),
  };
}

const LONGEST = 4096;

/** glibc's and musl's words for the errnos that packets and sockets meet. */
const ERRNO_WORDS: readonly (readonly [words: string, errno: string])[] = [
  ['operation not permitted', 'EPERM'], ['permission denied', 'EACCES'], ['network is unreachable', 'ENETUNREACH'], ['network unreachable', 'ENETUNREACH'],
  ['no route to host', 'EHOSTUNREACH'], ['host is unreachable', 'EHOSTUNREACH'], ['connection refused', 'ECONNREFUSED'], ['connection reset by peer', 'ECONNRESET'],
  ['broken pipe', 'EPIPE'], ['connection timed out', 'ETIMEDOUT'], ['operation timed out', 'ETIMEDOUT'], ['no buffer space available', 'ENOBUFS'], ['message too long', 'EMSGSIZE'],
  ['message too large', 'EMSGSIZE'], ['cannot assign requested address', 'EADDRNOTAVAIL'], ['address not available', 'EADDRNOTAVAIL'], ['address already in use', 'EADDRINUSE'], ['address in use', 'EADDRINUSE'],
  ['network is down', 'ENETDOWN'], ['host is down', 'EHOSTDOWN'], ['required key not available', 'ENOKEY'], ['destination address required', 'EDESTADDRREQ'], ['software caused connection abort', 'ECONNABORTED'],
  ['resource temporarily unavailable', 'EAGAIN'], ['no such device', 'ENODEV'],
];
const ERRNO_NAMES = /\b(EPERM|EACCES|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOBUFS|EMSGSIZE|EADDRNOTAVAIL|EADDRINUSE|ENETDOWN|EHOSTDOWN|ENOKEY|EDESTADDRREQ|ECONNABORTED)\b/;
const ACTIONS = /\b(sendto|sendmsg|sendmmsg|send|writev?|recvfrom|recvmsg|recv|read|connect|bind|listen|accept|socket|setsockopt|ping|transmit)\b/i;

interface Phrase {
  readonly kind: LogSign['kind'];
  readonly words: RegExp;
  readonly program?: string;
}

/** What daemons write when they throw a packet away themselves. */
const PHRASES: readonly Phrase[] = [
  { kind: 'key-mismatch', program: 'openvpn', words: /Authenticate\/Decrypt packet error: (?!bad packet ID)|packet HMAC authentication failed|cannot locate HMAC in incoming packet|AEAD Decrypt error|incoming packet authentication failed|tls-crypt(?:-v2)? unwrap(?:ping)? (?:error|failed)|tls-auth.*HMAC.*fail|cipher final failed|Bad encapsulated packet length|TLS Error: local\/remote TLS keys are out of sync/i },
  { kind: 'key-mismatch', program: 'wireguard', words: /Invalid (?:MAC of )?handshake|Failed to decrypt (?:packet|transport)|Received (?:message|packet) with (?:unknown type|invalid mac1)|Invalid handshake (?:initiation|response)|ConsumeMessage(?:Initiation|Response): handshake (?:initiation|response) failed|WrongKey/i },
  { kind: 'key-mismatch', program: 'ipsec', words: /AUTHENTICATION_FAILED|no shared key found|MAC mismatched|integrity check failed|verification of message failed|could not decrypt payloads|INVALID_HASH_INFORMATION|message ID.*(?:not authenticated|malformed)|probable pre-shared key mismatch|payload.*malformed.*key mismatch/i },
  { kind: 'key-mismatch', words: /\btsig verify failure|\bBADSIG\b|\bBADKEY\b|(?:packet|message|payload|datagram)s? (?:from \S+ )?(?:failed to (?:decrypt|authenticate|verify)|(?:decryption|authentication|verification) failed)|(?:decryption|authentication|HMAC|MAC|signature|integrity)(?: \w+)? (?:failed|failure|mismatch|error)(?:,| for| on| of| from)[^.]*\b(?:packet|datagram|message|peer)|Failed to verify (?:metadata|signature)|Got bad .*signature|bad packet (?:hmac|mac|signature)|key mismatch/i },
  { kind: 'replay', words: /bad packet ID|may be a replay|replay(?:ed)? packet|Packet replay|out of (?:the )?replay window/i },
  { kind: 'peer-rejected', words: /Incoming packet rejected from|packet from unexpected (?:peer|source|address)|unknown (?:peer|client|host).*(?:packet|dropp|ignor)|no matching peer|not (?:allowed|permitted) by (?:acl|allow)/i },
  { kind: 'time-out', words: /TLS key negotiation failed to occur within|Inactivity timeout|handshake (?:did not complete|timed? ?out)|(?:retransmission|giving up) after \d+ (?:retransmits|tries)|Hold timer expired|connection timed out/i },
  { kind: 'dropped', words: /\b(?:drop(?:ped|ping)|discard(?:ed|ing)|ignor(?:ed|ing)|lost)\b[^.]*\b(?:packets?|datagrams?|frames?|quer(?:y|ies)|requests?|messages?)\b|\b(?:packets?|datagrams?|frames?)\b[^.]*\b(?:dropp|discard|lost)/i },
];

function signOf(message: string): { kind: LogSign['kind']; program?: string; errno?: string; action?: string } | undefined {
  for (const p of PHRASES) {
    if (p.kind === 'time-out' || p.kind === 'dropped') break; // an errno in the line says more
    if (p.words.test(message)) return { kind: p.kind, ...(p.program === undefined ? undefined : { program: p.program }) };
  }
  const lower = message.toLowerCase();
  const errno = ERRNO_WORDS.find(([words]) => lower.includes(words))?.[1] ?? ERRNO_NAMES.exec(message)?.[1];
  const action = ACTIONS.exec(message)?.[1]?.toLowerCase();
  if (errno !== undefined && (action !== undefined || addressesIn(message).length > 0 || /\b(?:socket|udp|tcp|packet|network|peer|upstream|server)/i.test(message))) {
    const program = /^(?:\S+ )?write (?:UDP|TCP)/.test(message) ? 'openvpn' : undefined;
    return { kind: 'call-failed', errno, ...(action === undefined ? undefined : { action }), ...(program === undefined ? undefined : { program }) };
  }
  for (const p of PHRASES) if (p.words.test(message)) return { kind: p.kind };
  return undefined;
}

interface Head {
  readonly stamp?: string;
  readonly time?: NonNullable<LogSign['time']>;
  readonly program?: string;
  readonly pid?: number;
  readonly message: string;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** 2026-11-22 17:45:46, with T, fraction, zone, OpenVPN's `us=`; or in brackets or with slashes. */
const ISO = /^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?\]?(?: us=(\d+))?[\s:]+/;
/** Nov 22 17:45:46, or with the day of the week before and the year behind (ctime). */
const SYSLOG = /^(?:<\d+>)?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d+)?(?: (\d{4}))?(?: us=\d+)? /;
const PROGRAM = /^(?:[\w.-]+ )?([A-Za-z][\w./@-]{0,63}?)(?:\[(\d+)\])?: /;

function headOf(line: string): Head {
  const iso = ISO.exec(line);
  if (iso !== null) {
    const [all, y, mo, d, h, mi, s, fraction, zone, us] = iso;
    const micro = us === undefined ? Number((fraction ?? '0').padEnd(3, '0').slice(0, 3)) : Math.floor(Number(us) / 1000);
    const utc = Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s), micro);
    const offset = zone === undefined || zone === 'Z' ? 0 : (zone.startsWith('-') ? 1 : -1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))) * 60_000;
    return { stamp: all.trim().replace(/[[\]]|:$/g, ''), time: { ms: utc + offset, zone: zone !== undefined, year: true }, ...programIn(line.slice(all.length)) };
  }
  const syslog = SYSLOG.exec(line);
  const month = syslog === null ? -1 : MONTHS.indexOf((syslog[1] ?? '').toLowerCase());
  if (syslog !== null && month >= 0) {
    const [all, , d, h, mi, s, year] = syslog;
    return { stamp: all.trim(), time: { ms: Date.UTC(year === undefined ? 1970 : Number(year), month, Number(d), Number(h), Number(mi), Number(s)), zone: false, year: year !== undefined }, ...programIn(line.slice(all.length)) };
  }
  const kernel = /^\[\s*\d+\.\d+\] /.exec(line);
  if (kernel !== null) return { stamp: kernel[0].trim(), program: 'kernel', message: line.slice(kernel[0].length) };
  return programIn(line);
}

function programIn(rest: string): { readonly program?: string; readonly pid?: number; readonly message: string } {
  const m = PROGRAM.exec(rest);
  if (m === null) return { message: rest };
  const [all, name, pid] = m;
  // without a pid a word before a colon may be anything ("TLS Error: …"): only syslog's `host program: ` counts
  if (name === undefined || (pid === undefined && !/^[\w.-]+ [a-z][\w-]*: $/.test(all))) return { message: rest };
  if (pid === undefined) return { message: rest };
  return { program: name, pid: Number(pid), message: rest.slice(all.length) };
}

const ADDRESS = /\[?((?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4})\]?(?::(\d{1,5}))?/g;

function addressesIn(message: string): string[] {
  const found: string[] = [];
  for (const m of message.matchAll(ADDRESS)) {
    const [, address = '', port] = m;
    if (parseInet(address) === undefined || address === '::') continue;
    const text = port === undefined || Number(port) > 65535 ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    if (!found.includes(text)) found.push(text);
    if (found.length >= 8) break;
  }
  return found;
}
