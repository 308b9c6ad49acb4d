import type { BridgePort, BridgeVlan, FdbEntry } from '../model/network.ts';
import { decodeList, number, objects, strings, text, type Decoded } from './json-fields.ts';

/** JSON of iproute2's `bridge -j -d link|fdb|vlan` (bridge(8), iproute2 6.1). */
export function decodeBridgePorts(source: string): Decoded<BridgePort> {
  return decodeList(source, (o) => {
    const name = text(o, 'ifname');
    const bridge = text(o, 'master');
    if (name === undefined || bridge === undefined) return undefined;
    const flags = strings(o, 'flags');
    const on = (key: string, otherwise: boolean): boolean => (typeof o[key] === 'boolean' ? o[key] : otherwise);
    return {
      name, bridge,
      ifindex: number(o, 'ifindex') ?? 0,
      up: flags.includes('UP'),
      carrier: flags.includes('LOWER_UP') && !flags.includes('NO-CARRIER'),
      state: text(o, 'state') ?? 'forwarding',
      isolated: on('isolated', false), locked: on('locked', false), hairpin: on('hairpin', false),
      flood: on('flood', true), multicastFlood: on('mcast_flood', true), broadcastFlood: on('bcast_flood', true),
      learning: on('learning', true), neighbourSuppress: on('neigh_suppress', false),
    };
  });
}

export function decodeFdb(source: string): Decoded<FdbEntry> {
  return decodeList(source, (o) => {
    const mac = text(o, 'mac');
    const device = text(o, 'ifname');
    if (mac === undefined || device === undefined) return undefined;
    const bridge = text(o, 'master'), vlan = number(o, 'vlan'), destination = text(o, 'dst');
    return {
      mac: mac.toLowerCase(), device, flags: strings(o, 'flags'), state: text(o, 'state') ?? '',
      ...(bridge === undefined ? {} : { bridge }), ...(vlan === undefined ? {} : { vlan }), ...(destination === undefined ? {} : { destination }),
    };
  });
}

export function decodeBridgeVlans(source: string): Decoded<BridgeVlan> {
  const perDevice = decodeList(source, (o): BridgeVlan[] | undefined => {
    const device = text(o, 'ifname');
    if (device === undefined) return undefined;
    return objects(o, 'vlans').flatMap((v): BridgeVlan[] => {
      const first = number(v, 'vlan');
      return first === undefined ? [] : [{ device, first, last: number(v, 'vlanEnd') ?? first, flags: strings(v, 'flags') }];
    });
  });
  return { ...perDevice, values: perDevice.values.flat() };
}
