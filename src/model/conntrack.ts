/** One reading of counters by name. `undefined` where a row was shorter than its header. */
export interface Counters {
  readonly values: ReadonlyMap<string, number>;
  /** `partial`: a header and its row did not fit, or a field was no number; what is here is right. */
  readonly status: 'complete' | 'partial';
}

/** Counters that each CPU keeps for itself. */
export interface CpuCounters {
  readonly cpus: readonly CpuRow[];
  readonly status: 'complete' | 'partial';
}

export interface CpuRow {
  readonly cpu: number;
  readonly values: ReadonlyMap<string, number>;
}

/**
 * What moved in conntrack's counters says how it lost a packet (nf_conntrack_core.c; table in docs/causes).
 * `unclear` is for kernels before 5.10, where insert_failed also counts clashes that were resolved.
 */
export type ConntrackSignature =
  | 'clash-lost' //      drop and insert_failed: an entry with the same tuple was there, the packet was dropped
  | 'drop-only' //       drop alone: the table was full, or no memory, or a tracker or helper refused
  | 'chain-too-long' //  insert_failed and chaintoolong
  | 'dying' //           insert_failed alone: the entry was deleted before it was in the table
  | 'clash-resolved' //  harmless
  | 'unclear'
  | 'none';

/** enum ip_conntrack_status (include/uapi/linux/netfilter/nf_conntrack_common.h). */
export const IPS = {
  EXPECTED: 1, SEEN_REPLY: 2, ASSURED: 4, CONFIRMED: 8, SRC_NAT: 0x10, DST_NAT: 0x20, SEQ_ADJUST: 0x40, SRC_NAT_DONE: 0x80,
  DST_NAT_DONE: 0x100, DYING: 0x200, FIXED_TIMEOUT: 0x400, TEMPLATE: 0x800, NAT_CLASH: 0x1000, HELPER: 0x2000, OFFLOAD: 0x4000,
} as const;
