import { encodeTuple } from '../../formats/conntrack-burst.ts';
import { IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_GET_STATS_CPU } from '../../formats/conntrack-message.ts';
import { NLMSG_DONE } from '../../formats/netlink.ts';
import type { Tuple } from '../../model/event.ts';
import { isUnavailable, type Maybe, type Unavailable } from '../../model/unavailable.ts';
import { NETLINK_NETFILTER, openNetlink, type Dump, type NetlinkSocket } from '../sys/netlink.ts';
import { conntrackLoaded } from './in-use.ts';

/** Some 80,000 entries: enough for shares (the walk goes by hash, so a part is a fair sample), bounded for memory. */
export const TABLE_BYTES = 16 * 1024 * 1024;

/** struct nfgenmsg: family 0 is all, version 0. */
const ALL = new Uint8Array(4);

/** The conntrack table of a namespace, at most `limit` bytes of it. A table read whole ends in NLMSG_DONE. */
export function readConntrackTable(netnsPath: string | undefined, limit = TABLE_BYTES): Maybe<Uint8Array> {
  return ask(netnsPath, 'listing conntrack entries', (s) => s.dump(IPCTNL_MSG_CT_GET, ALL, limit));
}

/** The one entry of which `tuple` is either half; `missing` when there is none. */
export function readConntrackEntry(netnsPath: string | undefined, tuple: Tuple): Maybe<Uint8Array> {
  const inside = encodeTuple(tuple);
  if (inside === undefined) return { unavailable: 'failed', what: 'looking up a conntrack entry', why: 'not an address' };
  const body = new Uint8Array(4 + 4 + inside.length);
  body[0] = tuple.family === 6 ? 10 : 2;
  new DataView(body.buffer).setUint16(4, 4 + inside.length, true);
  new DataView(body.buffer).setUint16(6, 0x8001, true);
  body.set(inside, 8);
  const found = ask(netnsPath, 'looking up a conntrack entry', (s) => s.request(IPCTNL_MSG_CT_GET, 0, body));
  return isUnavailable(found) && found.why.startsWith('ENOENT') ? { ...found, unavailable: 'missing', why: 'no such entry' } : found;
}

/** Counters of every CPU (IPCTNL_MSG_CT_GET_STATS_CPU). */
export function readConntrackStats(netnsPath: string | undefined): Maybe<Uint8Array> {
  return ask(netnsPath, 'reading conntrack statistics', (s) => s.dump(IPCTNL_MSG_CT_GET_STATS_CPU, ALL));
}

function ask(netnsPath: string | undefined, what: string, put: (socket: NetlinkSocket) => Maybe<Dump>): Maybe<Uint8Array> {
  const idle = unused(what);
  if (idle !== undefined) return idle;
  const socket = openNetlink(netnsPath, NETLINK_NETFILTER, { what });
  if (isUnavailable(socket)) return socket;
  try {
    const dump = put(socket);
    if (isUnavailable(dump)) return dump;
    return dump.status === 'limit' ? dump.bytes : ended(dump.bytes);
  } finally {
    socket.close();
  }
}

/** With the NLMSG_DONE that tells a whole listing from one that was broken off. */
function ended(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(bytes.length + 20);
  all.set(bytes);
  const view = new DataView(all.buffer);
  view.setUint32(bytes.length, 20, true);
  view.setUint16(bytes.length + 4, NLMSG_DONE, true);
  return all;
}

/** Where nothing tracks connections there is nothing to ask, and asking would load modules. */
export function unused(what: string): Unavailable | undefined {
  return conntrackLoaded() ? undefined : { unavailable: 'unsupported', what, why: 'this kernel tracks no connections (nf_conntrack is not loaded)' };
}
