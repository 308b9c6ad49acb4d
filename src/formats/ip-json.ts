import { parsePrefix } from '../base/inet.ts';
import type { InterfaceAddress, Link, Neighbour, PolicyRule, Route, RouteAnswer, RouteType } from '../model/network.ts';
import { decodeList, flag, number, object, objects, strings, text, wordNumber, type Decoded, type Json } from './json-fields.ts';

/**
 * JSON of iproute2's `ip` (`ip -j -d -s link`, `addr`, `route show table all`, `rule`, `neigh`, `route get`), seen with
 * iproute2 6.1 and documented in ip-route(8), ip-rule(8), ip-link(8).
 */
export function decodeLinks(source: string): Decoded<Link> {
  return decodeList(source, (o) => {
    const name = text(o, 'ifname');
    const index = number(o, 'ifindex');
    if (name === undefined || index === undefined) return undefined;
    const flags = strings(o, 'flags');
    const info = object(o, 'linkinfo');
    const stats = object(o, 'stats64');
    const rx = object(stats, 'rx'), tx = object(stats, 'tx');
    return {
      index, name, flags,
      up: flags.includes('UP'),
      carrier: flags.includes('LOWER_UP') && !flags.includes('NO-CARRIER'),
      operstate: text(o, 'operstate') ?? 'UNKNOWN',
      mtu: number(o, 'mtu') ?? 0,
      type: text(o, 'link_type') ?? 'unknown',
      data: object(info, 'info_data'),
      ...optional('qdisc', text(o, 'qdisc')),
      ...optional('address', text(o, 'address')),
      ...optional('kind', text(info, 'info_kind')),
      ...optional('slaveKind', text(info, 'info_slave_kind')),
      ...optional('master', text(o, 'master')),
      ...optional('peerIndex', number(o, 'link_index')),
      ...optional('peerName', text(o, 'link')),
      ...optional('peerNetns', number(o, 'link_netnsid')),
      ...optional('txQueueLength', number(o, 'txqlen')),
      ...(number(rx, 'packets') === undefined ? {} : {
        stats: {
          rxBytes: number(rx, 'bytes') ?? 0, txBytes: number(tx, 'bytes') ?? 0,
          rxPackets: number(rx, 'packets') ?? 0, rxDropped: number(rx, 'dropped') ?? 0, rxErrors: number(rx, 'errors') ?? 0,
          txPackets: number(tx, 'packets') ?? 0, txDropped: number(tx, 'dropped') ?? 0, txErrors: number(tx, 'errors') ?? 0, txCarrierErrors: number(tx, 'carrier_errors') ?? 0,
        },
      }),
    };
  });
}

export function decodeAddresses(source: string): Decoded<InterfaceAddress> {
  const perLink = decodeList(source, (o): InterfaceAddress[] | undefined => {
    const device = text(o, 'ifname');
    if (device === undefined) return undefined;
    const ifindex = number(o, 'ifindex') ?? 0;
    return objects(o, 'addr_info').flatMap((a): InterfaceAddress[] => {
      const address = text(a, 'local');
      const family = familyOf(text(a, 'family'));
      if (address === undefined || family === undefined) return [];
      return [{
        family, device, ifindex, address,
        prefixLength: number(a, 'prefixlen') ?? (family === 4 ? 32 : 128),
        scope: text(a, 'scope') ?? 'global',
        flags: ['tentative', 'dadfailed', 'deprecated', 'temporary', 'dynamic', 'secondary', 'noprefixroute'].filter((f) => flag(a, f)),
        ...optional('peer', text(a, 'address')),
      }];
    });
  });
  return { ...perLink, values: perLink.values.flat() };
}

export function decodeRoutes(source: string, family: 4 | 6): Decoded<Route> {
  return decodeList(source, (o) => {
    const destination = text(o, 'dst');
    if (destination === undefined) return undefined;
    const metrics = objects(o, 'metrics')[0] ?? {};
    const prefix = destination === 'default' ? { length: 0 } : parsePrefix(destination);
    if (prefix === undefined) return undefined;
    return {
      family,
      type: routeType(text(o, 'type')),
      destination,
      prefixLength: prefix.length,
      table: tableName(o),
      metric: number(o, 'metric') ?? 0,
      flags: strings(o, 'flags'),
      nexthops: objects(o, 'nexthops').map((n) => ({ flags: strings(n, 'flags'), ...gatewayOf(n), ...optional('device', text(n, 'dev')) })),
      ...gatewayOf(o),
      ...optional('device', text(o, 'dev')),
      ...optional('source', text(o, 'prefsrc')),
      ...optional('protocol', text(o, 'protocol')),
      ...optional('scope', text(o, 'scope')),
      ...optional('mtu', number(metrics, 'mtu')),
      ...optional('hopLimit', number(metrics, 'hoplimit')),
      ...optional('nexthopId', number(o, 'nhid')),
    };
  });
}

const REFUSALS = ['blackhole', 'unreachable', 'prohibit', 'nop'] as const;

export function decodeRules(source: string, family: 4 | 6): Decoded<PolicyRule> {
  return decodeList(source, (o) => {
    const priority = number(o, 'priority');
    if (priority === undefined) return undefined;
    const action = text(o, 'action');
    const goto = number(o, 'goto') ?? wordNumber(o['goto']);
    const refusal = REFUSALS.find((r) => r === action);
    return {
      family, priority,
      not: flag(o, 'not'),
      l3mdev: flag(o, 'l3mdev'),
      action: refusal ?? (goto === undefined ? 'lookup' : 'goto'),
      ...optional('from', prefixOf(o, 'src', 'srclen')),
      ...optional('to', prefixOf(o, 'dst', 'dstlen')),
      ...optional('iif', text(o, 'iif')),
      ...optional('oif', text(o, 'oif')),
      ...optional('mark', wordNumber(o['fwmark'])),
      ...optional('markMask', wordNumber(o['fwmask'])),
      ...optional('tos', wordNumber(o['tos'])),
      ...optional('protocol', protocolNumber(o['ipproto'])),
      ...optional('sourcePorts', range(o, 'sport')),
      ...optional('destinationPorts', range(o, 'dport')),
      ...optional('uids', range(o, 'uid')),
      ...optional('suppressPrefixLength', number(o, 'suppress_prefixlen')),
      ...optional('table', text(o, 'table') ?? number(o, 'table')?.toString()),
      ...optional('goto', goto),
    };
  });
}

export function decodeNeighbours(source: string): Decoded<Neighbour> {
  return decodeList(source, (o) => {
    const address = text(o, 'dst');
    const device = text(o, 'dev');
    if (address === undefined || device === undefined) return undefined;
    return {
      family: address.includes(':') ? 6 as const : 4 as const,
      address, device,
      states: strings(o, 'state'),
      router: flag(o, 'router'),
      proxy: flag(o, 'proxy'),
      ...optional('mac', text(o, 'lladdr')),
    };
  });
}

const ERRNOS = ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL', 'EXDEV', 'ENODEV'] as const;

/** The answer of `ip -j route get`, or the kernel's refusal: `{"error": "Network is unreachable", "errno": "ENETUNREACH"}`. */
export function decodeRouteGet(source: string): RouteAnswer | undefined {
  if (source.trimStart().startsWith('{')) {
    const refusal = decodeList(`[${source}]`, (o) => ({ error: text(o, 'error') ?? '', errno: text(o, 'errno') })).values[0];
    if (refusal === undefined) return undefined;
    return { kind: 'refused', errno: ERRNOS.find((e) => e === refusal.errno) ?? 'other', text: refusal.error };
  }
  return decodeList(source, (o): RouteAnswer => {
    const cache = objects(o, 'metrics')[0] ?? {};
    const type = routeType(text(o, 'type'));
    return {
      kind: 'route', type,
      ...gatewayOf(o),
      ...optional('device', text(o, 'dev')),
      ...optional('source', text(o, 'prefsrc')),
      ...optional('mtu', number(cache, 'mtu') ?? number(o, 'mtu')),
      ...optional('table', text(o, 'table')),
    };
  }).values[0];
}

function gatewayOf(o: Json): { gateway?: string } {
  return optional('gateway', text(o, 'gateway') ?? text(object(o, 'via'), 'host'));
}

function routeType(word: string | undefined): RouteType {
  const known = ['unicast', 'local', 'broadcast', 'multicast', 'anycast', 'blackhole', 'unreachable', 'prohibit', 'throw', 'nat'] as const;
  return known.find((k) => k === word) ?? 'unicast';
}

function tableName(o: Json): string {
  const table = o['table'];
  return typeof table === 'string' ? table : typeof table === 'number' ? String(table) : 'main';
}

function prefixOf(o: Json, key: string, length: string): string | undefined {
  const address = text(o, key);
  if (address === undefined || address === 'all') return undefined;
  return address.includes('/') ? address : `${address}/${number(o, length) ?? (address.includes(':') ? 128 : 32)}`;
}

function range(o: Json, key: string): readonly [number, number] | undefined {
  const one = wordNumber(o[key]);
  if (one !== undefined) return [one, one];
  const word = text(o, key);
  const m = word === undefined ? null : /^([0-9]{1,10})-([0-9]{1,10})$/.exec(word);
  if (m !== null) return [Number(m[1]), Number(m[2])];
  const from = wordNumber(o[`${key}_start`]), to = wordNumber(o[`${key}_end`]);
  return from === undefined || to === undefined ? undefined : [from, to];
}

function protocolNumber(value: unknown): number | undefined {
  const n = wordNumber(value);
  if (n !== undefined) return n;
  return typeof value === 'string' ? ({ icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, icmpv6: 58, sctp: 132 } as Record<string, number>)[value] : undefined;
}

function familyOf(word: string | undefined): 4 | 6 | undefined {
  return word === 'inet' ? 4 : word === 'inet6' ? 6 : undefined;
}

function optional<K extends string, V>(key: K, value: V | undefined): { [k in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [k in K]?: V };
}
