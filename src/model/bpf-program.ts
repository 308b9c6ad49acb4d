/** A BPF program that is loaded, and where it sits: one element of the answer to `bpf-programs`, as JSON. */
export interface BpfProgramFacts {
  readonly id: number;
  /** As its author named it; at most 15 characters, may be empty. */
  readonly name: string;
  /** `enum bpf_prog_type` in lower case without its prefix: `cgroup_skb`, `sched_cls`, `xdp`, `netfilter`, `socket_filter`… */
  readonly type: string;
  /** Hash of its instructions, 16 hex digits: the same program loaded twice has one tag. */
  readonly tag: string;
  /** User id that loaded it. */
  readonly loadedBy: number;
  /** Clock of `Mono`: ns since boot, as text (64 bit). */
  readonly loadedAt: string;
  /** Only while kernel.bpf_stats_enabled is set. */
  readonly runCount?: number;
  /** Process ids that hold it open; only where /proc could be read. */
  readonly heldBy: readonly number[];
  /** Files of a BPF filesystem that keep it loaded. */
  readonly pinned?: readonly string[];
  readonly attached: readonly BpfAttachment[];
}

/**
 * `attachType` is `enum bpf_attach_type` in lower case without BPF_ and CGROUP_: `inet_egress`, `inet4_connect`, `udp4_sendmsg`.
 * `path` is the folder of the cgroup, `cgroup` its path in the hierarchy (`/` for the root). Programs of tc and of
 * `ip link set … xdp` are attached without a link: `filter` and `link` tell their ids.
 * `netns` is the inode of the namespace in which `ifindex` counts. `link` is the BPF link that holds it there, where one does.
 */
export type BpfAttachment =
  | { readonly where: 'cgroup'; readonly path: string; readonly cgroup: string; readonly attachType: string; readonly link?: number }
  | { readonly where: 'tcx'; readonly ifindex: number; readonly netns?: number; readonly direction: 'ingress' | 'egress'; readonly link: number }
  | { readonly where: 'netkit'; readonly ifindex: number; readonly netns?: number; readonly direction: 'primary' | 'peer'; readonly link: number }
  | { readonly where: 'xdp'; readonly ifindex: number; readonly netns?: number; readonly link: number }
  /** `family` and `hook` in words: ipv4, ipv6; prerouting, input, forward, output, postrouting. */
  | { readonly where: 'netfilter'; readonly family: string; readonly hook: string; readonly priority: number; readonly netns?: number; readonly link: number }
  | { readonly where: 'netns'; readonly netns: number; readonly attachType: string; readonly link: number }
  /** Tracepoint, kprobe, perf event, sockmap and all others: `kind` is the link's type. */
  | { readonly where: 'other'; readonly kind: string; readonly link: number };
