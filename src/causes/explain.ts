import type { Cause } from '../model/cause.ts';
import { ERRNOS } from './errno/knowledge.ts';
import { causes } from './index.ts';
import { REASONS } from './reasons.ts';

/** What `whydrop explain` found for some words. */
export interface Explanation {
  readonly about: 'cause' | 'reason' | 'symbol' | 'errno' | 'words';
  readonly title: string;
  /** Plain sentences; may be empty where the causes say all. */
  readonly text: string;
  /** Causes that it can come from, most likely first. */
  readonly causes: readonly Cause[];
}

/** errno → the words of strerror(3), for those that sockets give. */
const ERRNO_WORDS: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted', EACCES: 'Permission denied', ENETUNREACH: 'Network is unreachable', EHOSTUNREACH: 'No route to host', ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer', ETIMEDOUT: 'Connection timed out', ENOBUFS: 'No buffer space available', EMSGSIZE: 'Message too long', EADDRNOTAVAIL: 'Cannot assign requested address',
  EADDRINUSE: 'Address already in use', EINVAL: 'Invalid argument', EPIPE: 'Broken pipe', ENETDOWN: 'Network is down', EHOSTDOWN: 'Host is down', ENODEV: 'No such device', EAFNOSUPPORT: 'Address family not supported by protocol',
  ENOPROTOOPT: 'Protocol not available', EPROTONOSUPPORT: 'Protocol not supported', EDESTADDRREQ: 'Destination address required', ENOTCONN: 'Transport endpoint is not connected', ENOMEM: 'Cannot allocate memory', EAGAIN: 'Resource temporarily unavailable',
};

/** Explains a cause id, a drop reason, a kernel symbol with or without offset, an errno or its words, or free text. */
export function explain(words: string): Explanation | undefined {
  const text = words.trim();
  const exact = causes.find((c) => c.id === text.toLowerCase());
  if (exact !== undefined) return { about: 'cause', title: exact.id, text: exact.title, causes: [exact] };

  const reason = text.toUpperCase().replace(/^SKB_DROP_REASON_/, '');
  if (REASONS[reason] !== undefined) {
    return { about: 'reason', title: `drop reason ${reason}`, text: REASONS[reason], causes: causes.filter((c) => c.knowledge.reasons.includes(reason)) };
  }

  const errno = errnoOf(text);
  if (errno !== undefined) {
    return { about: 'errno', title: `${errno}: ${ERRNO_WORDS[errno] ?? ''}`, text: (ERRNOS[errno] ?? []).map((m) => `${m.syscalls.length === 0 ? '' : `For ${m.syscalls.join(', ')}: `}${m.text} ${m.advice.endsWith('.') ? m.advice : `Look at: ${m.advice}.`}`).join(' '), causes: causes.filter((c) => c.knowledge.errnos.includes(errno)) };
  }

  const symbol = /^([a-z_][a-z0-9_.]*)(\+0x[0-9a-f]+)?(\/0x[0-9a-f]+)?( \[\w+\])?$/i.exec(text)?.[1];
  if (symbol !== undefined) {
    const plain = symbol.replace(/\.(cold|part|constprop|isra|llvm)(\.\d+)*$/, '');
    const knowing = causes.filter((c) => c.knowledge.functions.includes(plain));
    if (knowing.length > 0) return { about: 'symbol', title: `kernel function ${plain}`, text: `Packets dropped in ${plain} come from one of these causes.`, causes: knowing };
  }

  const found = search(text);
  return found.length === 0 ? undefined : { about: 'words', title: text, text: 'Nothing has exactly this name. These causes speak of it.', causes: found };
}

/** The errno named or quoted in a log line: `EPERM`, `Operation not permitted`, `(code=1)` alone does not count. */
function errnoOf(text: string): string | undefined {
  const lower = text.toLowerCase();
  for (const [name, words] of Object.entries(ERRNO_WORDS)) {
    if (lower === name.toLowerCase() || lower.includes(words.toLowerCase()) || new RegExp(`\\b${name}\\b`).test(text)) return name;
  }
  return undefined;
}

function search(text: string): readonly Cause[] {
  const terms = text.toLowerCase().split(/[^a-z0-9_.]+/).filter((t) => t.length > 2);
  const scored = causes.map((cause) => {
    const k = cause.knowledge;
    const near = `${cause.id} ${cause.title}`.toLowerCase();
    const far = [k.what, ...k.signs, ...k.fixes, ...k.functions].join(' ').toLowerCase();
    let score = 0;
    for (const term of terms) score += near.includes(term) ? 3 : far.includes(term) ? 1 : 0;
    return { cause, score };
  });
  const best = Math.max(0, ...scored.map((s) => s.score));
  return scored.filter((s) => s.score > 0 && s.score >= best / 2).sort((a, b) => b.score - a.score).slice(0, 5).map((s) => s.cause);
}
