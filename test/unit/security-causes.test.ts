import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as lsm } from '../../src/causes/security/lsm.ts';
import { cause as capability } from '../../src/causes/security/missing-capability.ts';
import { cause as seccomp } from '../../src/causes/security/seccomp.ts';
import { denialIn } from '../../src/evidence/security/denials.ts';
import { ADDRESSES, BLUE, call, found, judged, process, programs, sysctl } from './socket-world.ts';
import type { Answered } from '../fake-evidence.ts';

const ROUTE: Answered = [{ topic: 'route-get', netns: BLUE, argument: '10.0.0.1' }, '[{"dst":"10.0.0.1","dev":"eth0","prefsrc":"10.0.0.2","flags":[],"uid":0,"cache":[]}]'];
const CLEAR: Answered[] = [programs(), ADDRESSES, ROUTE, [{ topic: 'xfrm-policy', netns: BLUE }, ''], [{ topic: 'kernel-log' }, '']];
const send = call('sendto', 'EPERM', { destination: '10.0.0.1:9000' });

test('a raw socket without CAP_NET_RAW', () => {
  const raw = call('socket', 'EPERM', { args: [2n, 3n, 1n] });
  const f = found(judged(capability, raw, { answers: [process({ pid: 4711, comm: 'agentd', capabilities: ['CAP_NET_ADMIN'], exe: '/usr/bin/python3.11' })] }));
  assert.match(f.culprit.text, /agentd .*lacks cap_net_raw/);
  assert.ok(f.remedies.every((r) => r.command === undefined), 'no setcap on an interpreter');
  const unit = found(judged(capability, raw, { answers: [process({ pid: 4711, comm: 'agentd', unit: 'agentd.service', exe: '/usr/sbin/agentd' })] }));
  assert.match(unit.remedies[0]?.text ?? '', /agentd\.service.*CAP_NET_RAW.*AmbientCapabilities/);
  const file = found(judged(capability, raw, { answers: [process({ pid: 4711, comm: 'agentd', exe: '/usr/sbin/agentd' })] }));
  assert.equal(file.remedies[0]?.command, 'setcap cap_net_raw+ep /usr/sbin/agentd');
});

test('a low port, a socket option, and calls that need nothing', () => {
  const low = found(judged(capability, call('bind', 'EACCES', { destination: '0.0.0.0:80' }), { answers: [process({ pid: 4711, comm: 'web', uid: 33 }), sysctl('net/ipv4/ip_unprivileged_port_start', '1024')] }));
  assert.match(low.culprit.text, /cap_net_bind_service/);
  assert.equal(low.remedies.find((r) => r.command !== undefined)?.command, 'ip netns exec blue sysctl -w net.ipv4.ip_unprivileged_port_start=80');
  assert.match(found(judged(capability, call('setsockopt', 'EPERM', { args: [3n, 1n, 36n] }), { answers: [process({ pid: 4711, comm: 'app' })] })).culprit.text, /SO_MARK/);
  assert.equal(judged(capability, call('bind', 'EACCES', { destination: '0.0.0.0:8080' }), { answers: [sysctl('net/ipv4/ip_unprivileged_port_start', '1024')] }).outcome, 'not-applicable');
  assert.equal(judged(capability, call('socket', 'EPERM', { args: [2n, 2n, 0n] })).outcome, 'not-applicable');
});

test('a process that has the capability is told of user namespaces, with less certainty', () => {
  const f = found(judged(capability, call('socket', 'EPERM', { args: [17n, 3n, 0n] }), { answers: [process({ pid: 4711, comm: 'tcpdump', capabilities: ['CAP_NET_RAW'] })] }));
  assert.ok(f.confidence < 0.7);
  assert.match(f.explanation, /user namespace/);
});

test('ping tries an unprivileged socket first: a loss only without CAP_NET_RAW', () => {
  const ping = call('socket', 'EACCES', { args: [2n, 2n, 1n], task: { pid: 4711, tid: 4711, comm: 'probe', uid: 1000 } });
  const range = sysctl('net/ipv4/ping_group_range', '1\t0');
  assert.equal(found(judged(capability, ping, { answers: [range, process({ pid: 4711, comm: 'ping', capabilities: ['CAP_NET_RAW'] })] })).severity, 'info');
  const poor = found(judged(capability, ping, { answers: [range, process({ pid: 4711, comm: 'ping' })] }));
  assert.equal(poor.severity, 'warning');
  const ping8 = call('socket', 'EACCES', { args: [2n, 2n, 1n], task: { pid: 4711, tid: 4711, comm: 'ping', uid: 1000 } });
  assert.equal(found(judged(capability, ping8, { answers: [range, process({ pid: 4711, comm: 'ping' })] })).severity, 'info', 'ping(8) goes on with a raw socket');
  assert.equal(poor.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.ping_group_range="0 2147483647"');
});

test('seccomp is found when all else is ruled out', () => {
  const f = found(judged(seccomp, send, { answers: [...CLEAR, process({ pid: 4711, comm: 'agentd', seccomp: 2, capabilities: ['CAP_NET_RAW'] })] }));
  assert.ok(f.confidence > 0.9);
  assert.match(f.culprit.text, /seccomp filter of agentd \(pid 4711/);
  assert.match(f.explanation, /no IPsec policy blocks/);
});

test('seccomp is not blamed without a filter, nor where something else may have refused', () => {
  assert.equal(judged(seccomp, send, { answers: [...CLEAR, process({ pid: 4711, comm: 'agentd', seccomp: 0 })] }).outcome, 'ruled-out');
  const rival = programs({ id: 3, type: 'cgroup_sock_addr', attached: [{ where: 'cgroup', path: '/sys/fs/cgroup', cgroup: '/', attachType: 'udp4_sendmsg' }] });
  const f = found(judged(seccomp, send, { answers: [...CLEAR.filter(([q]) => q.topic !== 'bpf-programs'), rival, process({ pid: 4711, comm: 'agentd', seccomp: 2, cgroup: '/app' })] }));
  assert.ok(f.confidence < 0.5);
  assert.equal(judged(seccomp, call('sendto', 'ENETUNREACH'), {}).outcome, 'not-applicable');
});

// lines of the kernel's audit subsystem as printk writes them
const APPARMOR = 'audit: type=1400 audit(1700000000.123:45): apparmor="DENIED" operation="connect" class="net" profile="/usr/sbin/agentd" pid=4711 comm="agentd" family="inet" sock_type="stream" protocol=6 requested_mask="connect" denied_mask="connect"';
const SELINUX = 'audit: type=1400 audit(1700000001.1:46): avc:  denied  { name_connect } for  pid=4711 comm="agentd" dest=9000 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:port_t:s0 tclass=tcp_socket permissive=0';

test('denials in the kernel log', () => {
  assert.deepEqual([denialIn(APPARMOR)?.module, denialIn(APPARMOR)?.pid, denialIn(APPARMOR)?.profile], ['AppArmor', 4711, '/usr/sbin/agentd']);
  assert.deepEqual([denialIn(SELINUX)?.module, denialIn(SELINUX)?.operation], ['SELinux', 'name_connect']);
  assert.equal(denialIn('eth0: link up'), undefined);
  const f = found(judged(lsm, call('connect', 'EACCES', { destination: '10.0.0.1:9000' }), { answers: [...CLEAR.slice(0, 4), [{ topic: 'kernel-log' }, `[   10.5] ${APPARMOR}\n`], process({ pid: 4711, comm: 'agentd' })] }));
  assert.match(f.culprit.text, /AppArmor \(\/usr\/sbin\/agentd\)/);
});

test('a TCP connect that nothing else refuses may be Landlock', () => {
  const symptom = call('connect', 'EACCES', { destination: '10.0.0.1:9000' });
  const f = found(judged(lsm, symptom, { answers: [...CLEAR, process({ pid: 4711, comm: 'agentd', noNewPrivs: true })] }));
  assert.match(f.culprit.text, /Landlock/);
  const prohibit: Answered = [{ topic: 'route-get', netns: BLUE, argument: '10.0.0.1' }, '{"error":"Permission denied","errno":"EACCES"}'];
  const route = judged(lsm, symptom, { answers: [...CLEAR.filter(([q]) => q.topic !== 'route-get'), prohibit, process({ pid: 4711, comm: 'agentd', noNewPrivs: true })] });
  assert.equal(route.outcome, 'ruled-out', JSON.stringify(route));
  assert.equal(judged(lsm, send, { answers: [...CLEAR, process({ pid: 4711, comm: 'agentd', seccomp: 2 })] }).outcome, 'ruled-out');
});
