import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { ProcessFacts } from '../../model/process.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { bpfPrograms, cgroupPrograms } from '../bpf-program/programs.ts';
import { routeGet, xfrmPolicies } from '../network/read.ts';
import { processFacts } from '../process/facts.ts';
import { addresses, broadcastOf } from '../socket/addresses.ts';
import { plainAddress } from '../socket/flow.ts';
import { lastSysctl } from '../network/sysctl.ts';
import { splitEndpoint } from '../../base/inet.ts';
import { privilegeOf } from './privilege.ts';

/** Everything else that refuses a call with EPERM or EACCES and leaves no packet, each ruled out or not. */
export interface Elimination {
  readonly process: Maybe<ProcessFacts>;
  /** What was looked at and is not the reason, as evidence. */
  readonly cleared: readonly string[];
  /** What may be the reason as well. */
  readonly suspects: readonly string[];
  /** What could not be read. */
  readonly unread: readonly string[];
  /** Still being read. */
  readonly pending: boolean;
}

const HOOKS: Readonly<Record<string, readonly string[]>> = {
  connect: ['inet4_connect', 'inet6_connect', 'unix_connect'], bind: ['inet4_bind', 'inet6_bind', 'inet4_post_bind', 'inet6_post_bind'], socket: ['inet_sock_create'], setsockopt: ['setsockopt'], getsockopt: ['getsockopt'],
};
const SEND_HOOKS = ['udp4_sendmsg', 'udp6_sendmsg', 'unix_sendmsg', 'inet_egress'];

/** Goes through the known reasons one by one. */
export function eliminate(evidence: Evidence, call: CallEvent): Elimination {
  const cleared: string[] = [];
  const suspects: string[] = [];
  const unread: string[] = [];
  let pending = false;
  const look = <T>(value: Maybe<T>, what: string): T | undefined => {
    if (!isUnavailable(value)) return value;
    if (value.unavailable === 'pending') pending = true;
    else unread.push(what);
    return undefined;
  };

  const process = processFacts(evidence, call.task.pid);
  const facts = look(process, `the process (pid ${call.task.pid})`);
  const start = call.syscall === 'bind' ? lastSysctl(evidence, call.netns, 'net/ipv4/ip_unprivileged_port_start') : undefined;
  const privilege = privilegeOf(call, start);
  if (privilege === undefined) cleared.push(`${call.syscall} of this kind needs no capability`);
  else if (facts !== undefined && privilege.anyOf.some((c) => facts.capabilities.includes(c))) cleared.push(`the process has the capability for ${privilege.what}`);
  else suspects.push(`a missing capability for ${privilege.what}`);

  const programs = look(bpfPrograms(evidence), 'BPF programs on cgroups');
  if (programs !== undefined) {
    const here = cgroupPrograms(programs, HOOKS[call.syscall] ?? SEND_HOOKS, facts?.cgroup);
    if (here.length === 0) cleared.push('no BPF program on the cgroup of the process or above it sees this call');
    else suspects.push('a BPF program on the cgroup');
  }

  const to = splitEndpoint(call.destination ?? call.socket?.remote ?? '');
  const address = to === undefined ? undefined : plainAddress(to.address);
  if (/^(?:send|connect|write|io_uring)/.test(call.syscall)) {
    const policies = look(xfrmPolicies(evidence, call.netns), 'IPsec policies');
    if (policies !== undefined) {
      if (policies.some((p) => p.action === 'block')) suspects.push('an IPsec policy that blocks');
      else cleared.push('no IPsec policy blocks');
    }
    const own = look(addresses(evidence, call.netns), 'addresses');
    if (call.errno === 'EACCES' && address !== undefined && own !== undefined) {
      if (broadcastOf(own, address) !== undefined || address === '255.255.255.255') suspects.push('SO_BROADCAST is missing');
      else cleared.push(`${address} is no broadcast address`);
    }
    if (address !== undefined) {
      const route = routeGet(evidence, call.netns, { to: address });
      if (!isUnavailable(route)) {
        if (route.kind === 'refused') suspects.push(`the route to ${address} (${route.errno})`);
        else cleared.push(`there is a route to ${address}`);
      } else if (route.unavailable === 'pending') pending = true;
      else if (route.unavailable === 'failed') suspects.push(`the route to ${address}: ${route.why}`);
      else unread.push(`the route to ${address}`);
    }
  }
  return { process, cleared, suspects, unread, pending };
}
