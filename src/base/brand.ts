/**
 * Branded primitives: the same machine type, told apart by the compiler.
 * 64-bit quantities stay bigint at the edges: 2^53 ns is 104 days of uptime, and kernel addresses exceed it at once.
 */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Nanoseconds of CLOCK_MONOTONIC, the clock of every probe (bpf_ktime_get_ns, trace_clock mono). */
export type Mono = Brand<bigint, 'mono-ns'>;
/** A kernel virtual address. */
export type Address = Brand<bigint, 'kernel-address'>;
/** The inode number of a network namespace (`net:[4026531840]`), the kernel's own name for it. */
export type Netns = Brand<number, 'netns-inode'>;

export const mono = (ns: bigint): Mono => ns as Mono;
export const address = (a: bigint): Address => a as Address;
export const netnsInode = (inode: number): Netns => inode as Netns;
