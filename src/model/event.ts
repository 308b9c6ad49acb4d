import type { Address, Mono, Netns } from '../base/brand.ts';
import type { Packet } from './packet.ts';
import type { Question } from './question.ts';
import type { Unavailable } from './unavailable.ts';

/** What happened, decoded and named, in order of time. */
export type Event = DropEvent | DropCountEvent | CallEvent | CallCountEvent | ExecEvent | ConntrackEvent | AnswerEvent | MissedEvent;

/** Where in the kernel: `nf_hook_slow+0x7d`. Without a name the address is outside every known function. */
export interface Place {
  readonly address: Address;
  readonly name?: string;
  readonly offset?: number;
  readonly module?: string;
}

/** `enum skb_drop_reason`. `name` is the kernel's own without its prefix; the number as text where it has none. */
export interface DropReason {
  readonly number: number;
  readonly name: string;
}

/** The task that ran on the CPU. In softirq it is whoever was interrupted, not the packet's owner. */
export interface Task {
  readonly pid: number; //   thread group id, what users call pid
  readonly tid: number;
  readonly comm: string;
  readonly uid?: number;
  readonly cgroup?: bigint; //   cgroup v2 id (inode number of its directory)
}

/** The socket that a packet belongs to, read from `struct sock`. */
export interface SocketIdentity {
  readonly address: Address;
  readonly family: number;
  readonly type?: number; //       SOCK_STREAM…
  readonly protocol: number;
  readonly state?: number; //      TCP_ESTABLISHED = 1…
  readonly inode?: number; //      0 or absent: no file holds it (a time-wait or request socket)
  readonly local?: string; //      address:port
  readonly remote?: string;
  readonly receiveQueued?: number; //  sk_rmem_alloc, bytes
  readonly receiveBuffer?: number; //  sk_rcvbuf, bytes
}

/** The conntrack entry that a packet carried (`skb->_nfct`). */
export interface PacketConntrack {
  readonly address: Address;
  readonly status: number; //   enum ip_conntrack_status bits (IPS_CONFIRMED = 8…)
  readonly info: number; //     enum ip_conntrack_info: 0 established, 1 related, 2 new, +3 reply, 7 untracked
  readonly original?: Tuple;
  readonly reply?: Tuple;
  readonly mark?: number;
}

/** What nftables itself told of a packet that it dropped (nft_trace): whose rule, or whose policy. */
export interface RuleVerdict {
  readonly table: string;
  readonly chain: string;
  /** The rule's handle; absent: the chain's policy. */
  readonly rule?: number;
}

export interface Tuple {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number; //        ICMP: the echo id
  readonly destinationPort?: number; //   ICMP: type << 8 | code
}

/** One dropped packet that the probe described in full. */
export interface DropEvent {
  readonly kind: 'drop';
  readonly time: Mono;
  readonly cpu: number;
  readonly netns: Netns;
  readonly ifindex: number; //    0: none (locally sent, or behind the socket lookup)
  readonly interface?: string;
  readonly incoming?: number; //  skb_iif
  readonly skb: Address;
  readonly place: Place;
  readonly reason: DropReason;
  readonly protocol: number; //   ethertype, host order: 0x0800
  readonly length: number;
  readonly mark: number;
  readonly packet: Packet;
  /** Innermost first; empty when no stack could be had. */
  readonly stack: readonly Place[];
  /** True when the packet was being received or forwarded in softirq: `task` is then only who was interrupted. */
  readonly softirq: boolean;
  readonly task: Task;
  readonly socket?: SocketIdentity;
  /** The socket that was to receive it (`rx_sk`, 6.11+). */
  readonly receiver?: SocketIdentity;
  readonly conntrack?: PacketConntrack;
  /** Where a tool had nftables trace the packet. */
  readonly verdict?: RuleVerdict;
  /** So many of its counter (place, reason, namespace, interface, protocol) were counted on this CPU and not described between the one before and this one. */
  readonly shed?: number;
  /** The budget of its counter on this CPU is spent with it: what follows is only counted for a while. */
  readonly spent?: true;
  /** Described past the budget because its flow was new: it stands for itself, not for a share of what was only counted. */
  readonly newcomer?: true;
  /** Which probe saw it. */
  readonly probe: 'bpf' | 'tracefs';
}

/** Exact number of drops of one key since the probe was armed. */
export interface DropCountEvent {
  readonly kind: 'drop-count';
  readonly time: Mono;
  readonly place: Place;
  readonly reason: DropReason;
  readonly netns: Netns;
  readonly ifindex: number;
  readonly protocol: number; //   ethertype
  readonly packets: number;
  readonly bytes: number;
}

/** A system call on a socket that failed. */
export interface CallEvent {
  readonly kind: 'call';
  readonly time: Mono;
  readonly cpu: number;
  readonly netns: Netns;
  readonly task: Task;
  readonly syscall: string; //   sendto
  readonly errno: string; //     EPERM
  readonly fd?: number;
  /** Destination given to the call itself, `address:port`; for a connected socket see `socket.remote`. */
  readonly destination?: string;
  readonly length?: number;
  /** setsockopt, socket: the raw integer arguments. */
  readonly args: readonly bigint[];
  readonly socket?: SocketIdentity;
  /** connect() of a TCP socket that came to nothing later; the errno is what the socket was told, EINPROGRESS when the program gave it up. */
  readonly attempt?: ConnectAttempt;
  /** A seccomp filter is installed in this task. */
  readonly seccomp?: boolean;
}

export interface ConnectAttempt {
  /** ns from the first SYN on. */
  readonly waited: bigint;
  /** SYNs that were sent again. */
  readonly resent: number;
}

/** Exact number of failed calls of one process, system call and errno since the probe was armed; on any socket. */
export interface CallCountEvent {
  readonly kind: 'call-count';
  readonly time: Mono;
  readonly pid: number;
  readonly syscall: string;
  readonly errno: string;
  readonly calls: number;
}

export interface ExecEvent {
  readonly kind: 'exec';
  readonly time: Mono;
  readonly task: Task;
  readonly parent: number; //   pid of the parent
  readonly filename: string;
  readonly argv: readonly string[];
  readonly netns?: Netns;
}

/** One conntrack netlink event. */
export interface ConntrackEvent {
  readonly kind: 'conntrack';
  readonly time: Mono;
  readonly netns: Netns;
  readonly change: 'new' | 'update' | 'destroy';
  /** Netlink port id of whoever asked; 0: the kernel itself (time-out, early drop). Usually the pid. */
  readonly requester: number;
  readonly entry: ConntrackEntry;
  /** This event stands for many of the same change and requester, of which `entry` was the last. */
  readonly burst?: ConntrackBurst;
}

/** Under a flood the details are let go, not the count. */
export interface ConntrackBurst {
  readonly count: number;
  /** Two 32-bit hashes for each entry's original tuple; empty where only the count was kept. See formats/conntrack-burst.ts. */
  readonly tuples: Uint32Array;
}

export interface ConntrackEntry {
  readonly id?: number;
  readonly original: Tuple;
  readonly reply: Tuple;
  readonly status: number;
  /** Seconds left. */
  readonly timeout?: number;
  readonly mark?: number;
  readonly zone?: number;
  /** Both directions together; only with net.netfilter.nf_conntrack_acct. */
  readonly packets?: bigint;
  readonly bytes?: bigint;
  /** enum tcp_conntrack, `syn-sent`, `established`…; not in destroy events of some kernels. */
  readonly tcpState?: string;
  readonly helper?: string;
  /** ns since 1970; only with net.netfilter.nf_conntrack_timestamp. */
  readonly start?: bigint;
  readonly stop?: bigint;
}

export interface AnswerEvent {
  readonly kind: 'answer';
  readonly time: Mono;
  readonly question: Question;
  readonly body: string | Uint8Array | Unavailable;
}

export interface MissedEvent {
  readonly kind: 'missed';
  readonly time: Mono;
  readonly source: string;
  readonly count: number;
  readonly text: string;
}
