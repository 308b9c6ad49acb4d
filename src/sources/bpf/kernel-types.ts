import { readFileSync } from 'node:fs';
import { parseBtf, type Btf } from '../../formats/btf.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readingFailed } from '../read.ts';

const FOLDER = '/sys/kernel/btf';
/** 5 MB that are of use while probes are armed: weak, so that they are read once then, and do not stay. */
let vmlinux: WeakRef<Maybe<Btf> & object> | undefined;

/** The running kernel's types, read at the first use, and again when they were long out of use. */
export function kernelTypes(): Maybe<Btf> {
  const known = vmlinux?.deref();
  if (known !== undefined) return known;
  const btf = read(`${FOLDER}/vmlinux`);
  vmlinux = new WeakRef(btf);
  return btf;
}

/** Types of nf_conntrack: a module of its own on distribution kernels (split BTF), else part of the kernel. */
export function conntrackTypes(kernel: Btf): Btf {
  const module = read(`${FOLDER}/nf_conntrack`, kernel);
  return isUnavailable(module) ? kernel : module;
}

function read(path: string, base?: Btf): Maybe<Btf> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const no = readingFailed(path, error);
    return no.unavailable === 'missing' ? { ...no, unavailable: 'unsupported', fix: 'a kernel built with CONFIG_DEBUG_INFO_BTF=y describes its own types; without, the tracefs tier is used' } : no;
  }
  const btf = parseBtf(bytes, base);
  return btf.status === 'complete' ? btf : { unavailable: 'malformed', what: `decoding ${path}`, why: btf.status };
}

/**
 * Numbers and names of the drop reasons, those of subsystems (their number in the high 16 bits) included. Enums of
 * reasons other than the core's are named after their subsystem (net/mac80211/drop.h, net/openvswitch/drop.h).
 */
export function dropReasons(btf: Btf): readonly (readonly [number, string])[] {
  const reasons: [number, string][] = [];
  for (const [name, value] of btf.enumValues('skb_drop_reason')) {
    if (name === 'SKB_DROP_REASON_MAX' || name === 'SKB_DROP_REASON_SUBSYS_MASK') continue;
    reasons.push([value >>> 0, name.replace(/^SKB_DROP_REASON_/, '').replace(/^SKB_/, '')]);
  }
  for (const name of ['mac80211_drop_reason', 'ovs_drop_reason']) {
    for (const [reason, value] of btf.enumValues(name)) reasons.push([value >>> 0, reason.replace(/^_+/, '')]);
  }
  return reasons;
}
