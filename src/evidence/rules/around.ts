import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { ask } from '../fact.ts';
import type { HookPoint } from './hook.ts';
import type { Surroundings } from './packet.ts';

interface Link {
  readonly name: string;
  readonly master?: string;
}

/** What a rule may ask beyond the packet: names of interfaces, the bridge of a port, where the packet would go. */
export function surroundings(evidence: Evidence, drop: DropEvent, hook: HookPoint): Surroundings {
  return {
    name: (ifindex) => links(evidence, drop)?.byIndex.get(ifindex)?.name,
    bridgeOf: (port) => links(evidence, drop)?.byName.get(port)?.master,
    out: () => outInterface(evidence, drop, hook),
  };
}

function links(evidence: Evidence, drop: DropEvent): { byIndex: ReadonlyMap<number, Link>; byName: ReadonlyMap<string, Link> } | undefined {
  const answer = evidence.lastAnswer(ask('link', drop.netns));
  if (isUnavailable(answer)) return undefined;
  const key = `rules links\u0000${drop.netns}\u0000${answer.time}`;
  const known = evidence.memo.get(key);
  if (known !== undefined) return known as ReturnType<typeof links>;
  const byIndex = new Map<number, Link>();
  const byName = new Map<string, Link>();
  for (const item of rows(answer.body)) {
    const { ifindex, ifname, master } = item;
    if (typeof ifindex !== 'number' || typeof ifname !== 'string') continue;
    const link: Link = { name: ifname, ...(typeof master === 'string' ? { master } : {}) };
    byIndex.set(ifindex, link);
    byName.set(ifname, link);
  }
  const value = { byIndex, byName };
  evidence.memo.set(key, value, answer.body.length);
  return value;
}

function outInterface(evidence: Evidence, drop: DropEvent, hook: HookPoint): string | undefined {
  const { ip } = drop.packet;
  if (ip === undefined) return undefined;
  const from = ip.source === '0.0.0.0' || ip.source === '::' ? '' : ` from ${ip.source}`;
  const iif = hook.hook === 'forward' && drop.interface !== undefined ? ` iif ${drop.interface}` : '';
  const mark = drop.mark === 0 ? '' : ` mark ${drop.mark}`;
  const answer = evidence.lastAnswer(ask('route-get', drop.netns, `${ip.destination}${from}${iif}${mark}`));
  if (isUnavailable(answer)) return undefined;
  const dev = rows(answer.body)[0]?.['dev'];
  return typeof dev === 'string' ? dev : undefined;
}

function rows(body: string | Uint8Array): readonly Readonly<Record<string, unknown>>[] {
  try {
    const json: unknown = JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body));
    return Array.isArray(json) ? json.filter((x): x is Record<string, unknown> => typeof x === 'object' && x !== null) : [];
  } catch {
    return []; //   as if not answered: what needs it stays unknown
  }
}
