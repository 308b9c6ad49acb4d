import type { Netns } from '../../base/brand.ts';
import { decodeSockDiag } from '../../formats/sock-diag.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Socket, SocketQuery, SocketTable } from '../../model/socket.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask, fact } from '../fact.ts';
import { plainAddress } from './flow.ts';

/** The sockets of a namespace, as sock_diag listed them; not older than the symptom unless `age` says otherwise. */
export function sockets(evidence: Evidence, netns: Netns, query: SocketQuery, age: 'fresh' | 'any' | 'before' = 'fresh'): Maybe<SocketTable> {
  return fact(evidence, ask('sockets', netns, query), 'socket table', (body): Maybe<SocketTable> => {
    if (typeof body === 'string') return { unavailable: 'malformed', what: `listing ${query} sockets`, why: 'text where a sock_diag dump belongs' };
    return decodeSockDiag(body, kindOf(query));
  }, age);
}

function kindOf(query: SocketQuery): Socket['kind'] {
  switch (query) {
    case 'udp':
    case 'udp6':
      return 'udp';
    case 'tcp':
    case 'tcp6':
    case 'tcp-listen':
    case 'tcp6-listen':
      return 'tcp';
    case 'raw':
    case 'raw6':
      return 'raw';
    case 'unix':
    case 'packet':
      return query;
  }
}

/**
 * Both families of one protocol in one list; a packet for an IPv4 address may belong to an IPv6 socket. One family
 * that is not there (no IPv6) leaves the other; both asked at once, so that one round of reading suffices.
 */
export function bothFamilies(evidence: Evidence, netns: Netns, what: 'udp' | 'tcp' | 'tcp-listen', age: 'fresh' | 'any' | 'before' = 'fresh'): Maybe<readonly Socket[]> {
  const four = sockets(evidence, netns, what, age);
  const six = sockets(evidence, netns, what === 'udp' ? 'udp6' : what === 'tcp' ? 'tcp6' : 'tcp6-listen', age);
  if (isUnavailable(four) && (isUnavailable(six) || four.unavailable === 'pending')) return four;
  if (isUnavailable(six)) return six.unavailable === 'pending' ? six : isUnavailable(four) ? four : four.sockets;
  return isUnavailable(four) ? six.sockets : six.sockets.length === 0 ? four.sockets : [...four.sockets, ...six.sockets];
}

/** Who receives on that port: UDP sockets bound to it, TCP listeners. */
export function listenersOn(list: readonly Socket[], port: number): Socket[] {
  return list.filter((s) => s.localPort === port && (s.kind === 'udp' || s.state === 'listen'));
}

/** `0.0.0.0:53`, `[::1]:53`, `*:53` for an IPv6 socket that takes IPv4 too. */
export function socketText(socket: Socket): string {
  const any = socket.local === '::' && socket.v6only !== true;
  return any ? `*:${socket.localPort}` : socket.local.includes(':') ? `[${socket.local}]:${socket.localPort}` : `${socket.local}:${socket.localPort}`;
}

/** Whether the socket would take a packet for that address at all. */
export function accepts(socket: Socket, address: string): boolean {
  const local = plainAddress(socket.local);
  if (address.includes(':')) return socket.family === 'inet6' && (local === '::' || local === address);
  if (socket.family === 'inet') return local === '0.0.0.0' || local === address;
  return socket.v6only !== true && (local === '::' || local === address);
}

export interface Tuple4 {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Arriving device; 0 when unknown. */
  readonly ifindex: number;
}

/**
 * The socket that the kernel would give a packet to: the best score wins, as in compute_score() of net/ipv4/udp.c
 * and inet_hashtables.c (6.18): same port; a bound address, a connected peer and a bound device each must match and
 * each count.
 */
export function receiverOf(list: readonly Socket[], packet: Tuple4): Socket | undefined {
  let best: Socket | undefined;
  let bestScore = -1;
  for (const s of list) {
    if (s.localPort !== packet.destinationPort || !accepts(s, packet.destination)) continue;
    if (s.kind === 'tcp' && s.state !== 'listen' && s.remotePort === 0) continue;
    let score = s.family === 'inet' || packet.destination.includes(':') ? 1 : 0;
    const local = plainAddress(s.local);
    if (local !== '0.0.0.0' && local !== '::') score += 4;
    if (s.remotePort !== 0) {
      if (s.remotePort !== packet.sourcePort || plainAddress(s.remote) !== packet.source) continue;
      score += 8;
    }
    if (s.ifindex !== 0) {
      if (packet.ifindex !== 0 && s.ifindex !== packet.ifindex) continue;
      score += 4;
    }
    if (score > bestScore) [best, bestScore] = [s, score];
  }
  return best;
}
