import { endpoint } from '../../base/inet.ts';
import type { ConntrackEvent, Tuple } from '../../model/event.ts';
import { protocolName } from '../../model/flow.ts';

/**
 * What NAT made of conversations, as conntrack told when they began: a packet that dies behind the router has other
 * addresses than its sender gave it. A way is `10.0.0.1:4000>10.0.0.2:80`, the ends of packets in one direction.
 */
export interface Translations {
  add(event: ConntrackEvent): void;
  /** What the packets of this way look like behind each NAT that they pass, nearest first; none when nothing is translated. */
  after(protocol: string, way: string): readonly string[];
  /** What their sender calls it. */
  before(protocol: string, way: string): string;
}

const KEPT = 16_384;
/** Routers one behind the other on one host. */
const MOST_NATS = 4;

export function createTranslations(): Translations {
  const onward = new Map<string, string>();
  const back = new Map<string, string>();
  const put = (map: Map<string, string>, key: string, value: string): void => {
    map.delete(key);
    map.set(key, value);
    if (map.size > KEPT) map.delete(map.keys().next().value!);
  };
  return {
    add: ({ change, entry: { original, reply } }) => {
      if (change === 'destroy') return;
      const sent = wayOf(original), leaves = reversed(reply);
      if (sent === leaves) return;
      const protocol = protocolName(original.protocol);
      for (const [from, to] of [[sent, leaves], [reversed(original), wayOf(reply)]] as const) {
        put(onward, `${protocol} ${from}`, to);
        put(back, `${protocol} ${to}`, from);
      }
    },
    after: (protocol, way) => {
      const ways: string[] = [];
      for (let next = onward.get(`${protocol} ${way}`); next !== undefined && ways.length < MOST_NATS; next = onward.get(`${protocol} ${next}`)) ways.push(next);
      return ways;
    },
    before: (protocol, way) => {
      let first = way;
      for (let n = 0; n < MOST_NATS; n++) {
        const earlier = back.get(`${protocol} ${first}`);
        if (earlier === undefined) break;
        first = earlier;
      }
      return first;
    },
  };
}

/** ICMP tuples have an id and a type where others have ports: its ways are addresses alone. */
const ports = ({ protocol, sourcePort, destinationPort }: Tuple): readonly [number | undefined, number | undefined] => (protocol === 1 || protocol === 58 ? [undefined, undefined] : [sourcePort, destinationPort]);

function wayOf(tuple: Tuple): string {
  const [source, destination] = ports(tuple);
  return `${endpoint(tuple.source, source)}>${endpoint(tuple.destination, destination)}`;
}

function reversed(tuple: Tuple): string {
  const [source, destination] = ports(tuple);
  return `${endpoint(tuple.destination, destination)}>${endpoint(tuple.source, source)}`;
}
