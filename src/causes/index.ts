import type { Cause } from '../model/cause.ts';
import { cause as unknown } from './unknown.ts';
import { cause as bpfCgroupDrop } from './bpf/cgroup-drop.ts';
import { cause as bpfNetfilterDrop } from './bpf/netfilter-drop.ts';
import { cause as bpfSocketFilter } from './bpf/socket-filter.ts';
import { cause as bpfTcxDrop } from './bpf/tcx-drop.ts';
import { cause as bridgeFdbWrong } from './bridge/fdb-wrong.ts';
import { cause as bridgeFloodOff } from './bridge/flood-off.ts';
import { cause as bridgePortIsolated } from './bridge/port-isolated.ts';
import { cause as bridgePortLocked } from './bridge/port-locked.ts';
import { cause as bridgeStpBlocked } from './bridge/stp-blocked.ts';
import { cause as bridgeVlanFilter } from './bridge/vlan-filter.ts';
import { cause as conntrackChainTooLong } from './conntrack/chain-too-long.ts';
import { cause as conntrackDyingEntry } from './conntrack/dying-entry.ts';
import { cause as conntrackInvalidDrop } from './conntrack/invalid-drop.ts';
import { cause as conntrackInsertRace } from './conntrack/insert-race.ts';
import { cause as conntrackNatPortExhausted } from './conntrack/nat-port-exhausted.ts';
import { cause as conntrackTableFull } from './conntrack/table-full.ts';
import { cause as cpuBacklogFull } from './cpu/backlog-full.ts';
import { cause as errnoNotADrop } from './errno/not-a-drop.ts';
import { cause as icmpEchoIgnored } from './icmp/echo-ignored.ts';
import { cause as ipBadChecksum } from './ip/bad-checksum.ts';
import { cause as ipFragmentMemory } from './ip/fragment-memory.ts';
import { cause as ipFragmentTimeout } from './ip/fragment-timeout.ts';
import { cause as ipHeaderError } from './ip/header-error.ts';
import { cause as ipMtuExceeded } from './ip/mtu-exceeded.ts';
import { cause as ipSourceRouteRefused } from './ip/source-route-refused.ts';
import { cause as ipTtlExceeded } from './ip/ttl-exceeded.ts';
import { cause as ipv6Disabled } from './ipv6/disabled.ts';
import { cause as ipv6HopLimit } from './ipv6/hop-limit.ts';
import { cause as linkDown } from './link/down.ts';
import { cause as linkOtherHost } from './link/other-host.ts';
import { cause as linkUnicastInL2Multicast } from './link/unicast-in-l2-multicast.ts';
import { cause as neighQueueFull } from './neigh/queue-full.ts';
import { cause as neighTableOverflow } from './neigh/table-overflow.ts';
import { cause as neighUnresolved } from './neigh/unresolved.ts';
import { cause as netfilterPolicyDrop } from './netfilter/policy-drop.ts';
import { cause as netfilterQueueNoListener } from './netfilter/queue-no-listener.ts';
import { cause as netfilterRuleDrop } from './netfilter/rule-drop.ts';
import { cause as netfilterRuleReject } from './netfilter/rule-reject.ts';
import { cause as normalElsewhere } from './normal/elsewhere.ts';
import { cause as normalIcmpUnclaimed } from './normal/icmp-unclaimed.ts';
import { cause as normalLinkFlap } from './normal/link-flap.ts';
import { cause as normalLocalSocket } from './normal/local-socket.ts';
import { cause as normalMulticastUnwanted } from './normal/multicast-unwanted.ts';
import { cause as normalSocketClosed } from './normal/socket-closed.ts';
import { cause as normalTcpTeardown } from './normal/tcp-teardown.ts';
import { cause as protoUnhandled } from './proto/unhandled.ts';
import { cause as qdiscOverlimit } from './qdisc/overlimit.ts';
import { cause as qdiscTailDrop } from './qdisc/tail-drop.ts';
import { cause as routeBlackhole } from './route/blackhole.ts';
import { cause as routeForwardingDisabled } from './route/forwarding-disabled.ts';
import { cause as routeMartianDestination } from './route/martian-destination.ts';
import { cause as routeMartianSource } from './route/martian-source.ts';
import { cause as routeNoRoute } from './route/no-route.ts';
import { cause as routeProhibit } from './route/prohibit.ts';
import { cause as routeRpFilter } from './route/rp-filter.ts';
import { cause as routeUnreachable } from './route/unreachable.ts';
import { cause as securityLsm } from './security/lsm.ts';
import { cause as securityMissingCapability } from './security/missing-capability.ts';
import { cause as securitySeccomp } from './security/seccomp.ts';
import { cause as socketAddressInUse } from './socket/address-in-use.ts';
import { cause as socketBacklogFull } from './socket/backlog-full.ts';
import { cause as socketBoundDevice } from './socket/bound-device.ts';
import { cause as socketBroadcastNotAllowed } from './socket/broadcast-not-allowed.ts';
import { cause as socketListenOverflow } from './socket/listen-overflow.ts';
import { cause as socketMulticastNotJoined } from './socket/multicast-not-joined.ts';
import { cause as socketNoListener } from './socket/no-listener.ts';
import { cause as socketNotPermitted } from './socket/not-permitted.ts';
import { cause as socketPortExhausted } from './socket/port-exhausted.ts';
import { cause as socketRcvbufFull } from './socket/rcvbuf-full.ts';
import { cause as socketTcpClosed } from './socket/tcp-closed.ts';
import { cause as tcFilterDrop } from './tc/filter-drop.ts';
import { cause as tcPolicerDrop } from './tc/policer-drop.ts';
import { cause as tcpBadChecksum } from './tcp/bad-checksum.ts';
import { cause as tcpInvalidSegment } from './tcp/invalid-segment.ts';
import { cause as tcpMd5Mismatch } from './tcp/md5-mismatch.ts';
import { cause as tcpMinttl } from './tcp/minttl.ts';
import { cause as tcpNoAnswer } from './tcp/no-answer.ts';
import { cause as tunRingFull } from './tun/ring-full.ts';
import { cause as tunnelKeyMismatch } from './tunnel/key-mismatch.ts';
import { cause as tunnelVxlanInvalidHeader } from './tunnel/vxlan-invalid-header.ts';
import { cause as tunnelVxlanUnknownVni } from './tunnel/vxlan-unknown-vni.ts';
import { cause as udpBadChecksum } from './udp/bad-checksum.ts';
import { cause as xdpDrop } from './xdp/drop.ts';
import { cause as xfrmNoState } from './xfrm/no-state.ts';
import { cause as xfrmPolicyBlock } from './xfrm/policy-block.ts';

/** Every cause, one line each. Where two are equally sure, the earlier one is taken. */
export const causes: readonly Cause[] = [
  bpfCgroupDrop,
  bpfNetfilterDrop,
  bpfSocketFilter,
  bpfTcxDrop,
  bridgeFdbWrong,
  bridgeFloodOff,
  bridgePortIsolated,
  bridgePortLocked,
  bridgeStpBlocked,
  bridgeVlanFilter,
  conntrackChainTooLong,
  conntrackDyingEntry,
  conntrackInvalidDrop,
  conntrackInsertRace,
  conntrackNatPortExhausted,
  conntrackTableFull,
  cpuBacklogFull,
  errnoNotADrop,
  icmpEchoIgnored,
  ipBadChecksum,
  ipFragmentMemory,
  ipFragmentTimeout,
  ipHeaderError,
  ipMtuExceeded,
  ipSourceRouteRefused,
  ipTtlExceeded,
  ipv6Disabled,
  ipv6HopLimit,
  linkDown,
  linkOtherHost,
  linkUnicastInL2Multicast,
  neighQueueFull,
  neighTableOverflow,
  neighUnresolved,
  netfilterPolicyDrop,
  netfilterQueueNoListener,
  netfilterRuleDrop,
  netfilterRuleReject,
  normalElsewhere,
  normalIcmpUnclaimed,
  normalLinkFlap,
  normalLocalSocket,
  normalMulticastUnwanted,
  normalSocketClosed,
  normalTcpTeardown,
  protoUnhandled,
  qdiscOverlimit,
  qdiscTailDrop,
  routeBlackhole,
  routeForwardingDisabled,
  routeMartianDestination,
  routeMartianSource,
  routeNoRoute,
  routeProhibit,
  routeRpFilter,
  routeUnreachable,
  securityLsm,
  securityMissingCapability,
  securitySeccomp,
  socketAddressInUse,
  socketBacklogFull,
  socketBoundDevice,
  socketBroadcastNotAllowed,
  socketListenOverflow,
  socketMulticastNotJoined,
  socketNoListener,
  socketNotPermitted,
  socketPortExhausted,
  socketRcvbufFull,
  socketTcpClosed,
  tcFilterDrop,
  tcPolicerDrop,
  tcpBadChecksum,
  tcpInvalidSegment,
  tcpMd5Mismatch,
  tcpMinttl,
  tcpNoAnswer,
  tunRingFull,
  tunnelKeyMismatch,
  tunnelVxlanInvalidHeader,
  tunnelVxlanUnknownVni,
  udpBadChecksum,
  xdpDrop,
  xfrmNoState,
  xfrmPolicyBlock,
  unknown,
];
