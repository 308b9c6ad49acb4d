import type { Mapping } from './mapping.ts';

/** Words of the tools' own languages, and what everybody calls things: never replaced in free text. */
const ORDINARY: ReadonlySet<string> = new Set('filter nat mangle raw security input output forward prerouting postrouting ingress egress INPUT OUTPUT FORWARD PREROUTING POSTROUTING ACCEPT DROP REJECT RETURN QUEUE LOG MASQUERADE SNAT DNAT broadcast multicast unicast local default main unspec global link host table chain rule type hook policy accept drop reject counter comment inet arp bridge netdev tcp udp icmp icmpv6 sctp noqueue fq_codel pfifo_fast ether loopback veth vlan vxlan dummy tunnel sport dport saddr daddr meta state established related invalid untracked match target packets bytes mark prio root parent handle limit peer none unknown true false null kernel boot static proto scope metric family name'.split(' '));

/** Names of devices that say nothing about anybody. */
const GENERIC_DEVICE = /^(?:lo|eth|en[opsx]\w*|ens|wlan|wlp\w*|ww\w*|veth|v|br|docker|virbr|vnet|tun|tap|wg|bond|team|dummy|gre|gretap|erspan|sit|ip6tnl|tunl|ip_vti|ip6_vti|ip6gre|vxlan|geneve|ifb|nlmon|macvlan|ipvlan|vlan|vrf|xfrm|ppp|usb|ib|cni|flannel\.|cali|lxc)[\d.@]*$/;

/** Whether a name can be replaced wherever it stands, without taking words of a listing for it. */
export const isTelling = (name: string): boolean => name.length >= 4 && !ORDINARY.has(name) && !/^[\d.:/-]+$/.test(name);
export const isGenericDevice = (name: string): boolean => GENERIC_DEVICE.test(name) || name === '';

const MAC = /(?<![\w:])[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?![\w:])/g;
const V4 = /(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(\/\d{1,2}(?![\d.]))?(?![\d]|\.\d)/g;
const V6 = /(?<![\w:.])((?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{0,4}|\d{1,3}(?:\.\d{1,3}){3}))(\/\d{1,3})?(?![\w:])/g;
const JSON_PREFIX = /("addr":\s*")([^"]+)("\s*,\s*"len":\s*)(\d{1,3})/g;
const JSON_COMMENT = /("(?:comment|prefix|alias|ifalias|log-prefix)":\s*")((?:[^"\\]|\\.)*)"/g;
const OPTION_COMMENT = /((?:--comment|--log-prefix|--nflog-prefix)\s+)("(?:[^"\\]|\\.)*"|(?!")\S+)/g;
const QUOTED_COMMENT = /((?<!-)\b(?:comment|prefix|alias)\s+)("(?:[^"\\]|\\.)*")/g;

/** Names that a listing gives away, by where they stand. */
export function namesIn(text: string, found: (kind: string, name: string) => void): void {
  for (const m of text.matchAll(/"ifname":\s*"([^"\\]+)"/g)) if (!isGenericDevice(m[1]!)) found('device', m[1]!);
  for (const m of text.matchAll(/"(?:table|chain|set|map)":\s*\{[^{}]*?"name":\s*"([^"\\]+)"/g)) found('name', m[1]!);
  for (const m of text.matchAll(/^:(\S+) /gm)) found('name', m[1]!);
  for (const m of text.matchAll(/^create (\S+) /gm)) found('name', m[1]!);
}

/** A text with its addresses, comments and known names replaced. */
export function redactText(text: string, mapping: Mapping, names: Names): string {
  const placed: string[] = [];
  // what is done is set aside, so that no later step takes it for an original
  const keep = (made: string): string => `\u0000${placed.push(made) - 1}\u0000`;
  const comment = (_: string, head: string, words: string): string => `${head}${words.startsWith('"') ? `"${keep(mapping.name('comment', words.slice(1, -1)))}"` : keep(mapping.name('comment', words))}`;
  const done = text.replaceAll('\u0000', '')
    .replace(JSON_COMMENT, (_, head: string, words: string) => (words === '' ? `${head}"` : `${head}${keep(mapping.name('comment', words))}"`))
    .replace(OPTION_COMMENT, comment)
    .replace(QUOTED_COMMENT, comment)
    .replace(JSON_PREFIX, (_, head: string, addr: string, between: string, length: string) => `${head}${keep(mapping.inetText(addr, Number(length)))}${between}${length}`)
    .replace(MAC, (m) => keep(mapping.macText(m)))
    .replace(V6, (_, addr: string, slash: string | undefined) => `${keep(mapping.inetText(addr, slash === undefined ? undefined : Number(slash.slice(1))))}${slash ?? ''}`)
    .replace(V4, (_, addr: string, slash: string | undefined) => `${keep(mapping.inetText(addr, slash === undefined ? undefined : Number(slash.slice(1))))}${slash ?? ''}`);
  const named = names.pattern === undefined ? done : done.replace(names.pattern, (name) => names.image(name));
  return named.replace(/\u0000(\d+)\u0000/g, (_, i: string) => placed[Number(i)] ?? '');
}

/** Names that are replaced wherever they stand. */
export interface Names {
  readonly pattern?: RegExp;
  image(name: string): string;
}

export function namesOf(known: ReadonlyMap<string, string>, mapping: Mapping): Names {
  const telling = [...known.keys()].filter(isTelling).sort((a, b) => b.length - a.length);
  const image = (name: string): string => mapping.name(known.get(name) ?? 'name', name);
  if (telling.length === 0) return { image };
  const pattern = new RegExp(`(?<![\\w.-])(?:${telling.map((n) => n.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})(?![\\w-])`, 'g');
  return { pattern, image };
}
