import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { ask, fact } from '../fact.ts';
import { arrayOf, integer, json, record, text } from '../process/json.ts';

/** An XDP program on an interface, as `ip -j -d link` tells it. */
export interface XdpProgram {
  readonly ifindex: number;
  readonly device: string;
  readonly mode: 'native' | 'generic' | 'offload' | 'unknown';
  readonly id: number;
  readonly name?: string;
  readonly tag?: string;
}

/** XDP_ATTACHED_DRV 1, _SKB 2, _HW 3 (linux/if_link.h). */
const MODES: Readonly<Record<number, XdpProgram['mode']>> = { 1: 'native', 2: 'generic', 3: 'offload' };

/** XDP programs of a namespace. The only plain fact made of the topic `link`. */
export function xdpPrograms(evidence: Evidence, netns: Netns): Maybe<readonly XdpProgram[]> {
  return fact(evidence, ask('link', netns), 'XDP programs', (body): Maybe<readonly XdpProgram[]> => {
    const value = json(body, 'reading links');
    if (isUnavailable(value)) return value;
    return arrayOf(value).flatMap((item) => {
      const link = record(item);
      const xdp = record(link['xdp']);
      const attached = arrayOf(xdp['attached']);
      return (attached.length > 0 ? attached : [xdp]).flatMap((one): XdpProgram[] => {
        const program = record(record(one)['prog']);
        const id = integer(program['id']);
        if (id === undefined) return [];
        const name = text(program['name']);
        const tag = text(program['tag']);
        return [{ ifindex: integer(link['ifindex']) ?? 0, device: text(link['ifname']) ?? '?', mode: MODES[integer(record(one)['mode']) ?? 0] ?? 'unknown', id, ...(name === undefined ? undefined : { name }), ...(tag === undefined ? undefined : { tag }) }];
      });
    });
  });
}

/** The word of ip(8) that names a mode: only it takes a program of that mode off again. */
export function xdpWord(mode: XdpProgram['mode']): string {
  switch (mode) {
    case 'native':
    case 'unknown':
      return 'xdp';
    case 'generic':
      return 'xdpgeneric';
    case 'offload':
      return 'xdpoffload';
  }
}
