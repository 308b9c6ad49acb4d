import type { Netns } from '../../base/brand.ts';
import type { BpfAttachment, BpfProgramFacts } from '../../model/bpf-program.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { fact } from '../fact.ts';
import { arrayOf, integer, json, record, text } from '../process/json.ts';

/** A program at one of the places where it sits. */
export interface Attached<A extends BpfAttachment = BpfAttachment> {
  readonly program: BpfProgramFacts;
  readonly at: A;
}

type At<W extends BpfAttachment['where']> = Extract<BpfAttachment, { where: W }>;

/** Every BPF program of the host with its attachments. */
export function bpfPrograms(evidence: Evidence): Maybe<readonly BpfProgramFacts[]> {
  return fact(evidence, { topic: 'bpf-programs' }, 'BPF programs', (body): Maybe<readonly BpfProgramFacts[]> => {
    const value = json(body, 'listing BPF programs');
    if (isUnavailable(value)) return value;
    return arrayOf(value).flatMap((item): BpfProgramFacts[] => {
      const r = record(item);
      const id = integer(r['id']);
      if (id === undefined) return [];
      const runCount = integer(r['runCount']);
      return [{
        id, name: text(r['name']) ?? '', type: text(r['type']) ?? '?', tag: text(r['tag']) ?? '', loadedBy: integer(r['loadedBy']) ?? 0, loadedAt: text(r['loadedAt']) ?? '0',
        heldBy: arrayOf(r['heldBy']).map(integer).filter((p) => p !== undefined),
        attached: arrayOf(r['attached']).filter((a) => typeof record(a)['where'] === 'string') as unknown as readonly BpfAttachment[],
        ...(runCount === undefined ? undefined : { runCount }),
      }];
    });
  });
}

/** All programs at one kind of place. */
export function attachedAt<W extends BpfAttachment['where']>(programs: readonly BpfProgramFacts[], where: W, which: (at: At<W>) => boolean = () => true): Attached<At<W>>[] {
  const list: Attached<At<W>>[] = [];
  for (const program of programs) for (const at of program.attached) if (at.where === where && which(at as At<W>)) list.push({ program, at: at as At<W> });
  return list;
}

/**
 * Programs of one attach type that see what a process in that cgroup does: those on its own cgroup and on every
 * cgroup above it (a program attached to a parent runs for all below it, cgroup_bpf.c). Nearest first.
 * `cgroup` is a path in the cgroup v2 hierarchy; undefined takes all.
 */
export function cgroupPrograms(programs: readonly BpfProgramFacts[], attachTypes: readonly string[], cgroup: string | undefined): Attached<At<'cgroup'>>[] {
  const wanted = new Set(attachTypes.map(plainType));
  return attachedAt(programs, 'cgroup', (at) => wanted.has(plainType(at.attachType)) && (cgroup === undefined || isAbove(hierarchyPath(at), cgroup)))
    .sort((a, b) => hierarchyPath(b.at).length - hierarchyPath(a.at).length);
}

/** `cgroup_inet_egress`, `BPF_CGROUP_INET_EGRESS` and `inet_egress` are one; `udp4_sendmsg` and `cgroup_udp4_sendmsg` too. */
function plainType(type: string): string {
  return type.toLowerCase().replace(/^bpf_/, '').replace(/^cgroup_/, '');
}

/** Path below the root of the hierarchy, whatever mount point the listing has before it. */
function hierarchyPath(at: At<'cgroup'>): string {
  const given = at.cgroup.startsWith('/') ? at.cgroup : at.path;
  return given.replace(/\/+$/, '');
}

function isAbove(above: string, below: string): boolean {
  return above === '' || below === above || below.startsWith(`${above}/`);
}

/** `noegress (id 17)`, `program id 17`. */
export function programText(program: BpfProgramFacts): string {
  return program.name === '' ? `program id ${program.id}` : `${program.name} (program id ${program.id})`;
}

/** The directory of a cgroup as file tools know it. */
export function cgroupDirectory(at: At<'cgroup'>): string {
  return at.path.startsWith('/') ? at.path : at.cgroup;
}

/** Netfilter programs at a hook of a namespace; family `ipv4`, `ipv6`; a listing without the namespace counts for all. */
export function netfilterPrograms(programs: readonly BpfProgramFacts[], netns: Netns, family: 4 | 6, hook: string | undefined): Attached<At<'netfilter'>>[] {
  return attachedAt(programs, 'netfilter', (at) => (at.netns === undefined || at.netns === netns) && at.family.includes(String(family)) && (hook === undefined || at.hook.toLowerCase() === hook.toLowerCase()));
}

export function tcxPrograms(programs: readonly BpfProgramFacts[], netns: Netns, ifindex: number, direction: 'ingress' | 'egress'): (Attached<At<'tcx'>> | Attached<At<'netkit'>>)[] {
  const here = (at: { readonly netns?: number; readonly ifindex: number }): boolean => (at.netns === undefined || at.netns === netns) && at.ifindex === ifindex;
  return [
    ...attachedAt(programs, 'tcx', (at) => here(at) && at.direction === direction),
    ...attachedAt(programs, 'netkit', here),
  ];
}
