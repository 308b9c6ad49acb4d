import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as cgroupDrop } from '../../src/causes/bpf/cgroup-drop.ts';
import { cause as netfilterDrop } from '../../src/causes/bpf/netfilter-drop.ts';
import { cause as socketFilter } from '../../src/causes/bpf/socket-filter.ts';
import { cause as tcxDrop } from '../../src/causes/bpf/tcx-drop.ts';
import { cause as xdpDrop } from '../../src/causes/xdp/drop.ts';
import { address } from '../../src/base/brand.ts';
import type { BpfAttachment } from '../../src/model/bpf-program.ts';
import { BLUE, call, drop, found, judged, owner, process, programs, socketAnswers, udp } from './socket-world.ts';
import type { Answered } from '../fake-evidence.ts';

const frame = (name: string) => ({ address: address(1n), name });
const out = udp('10.0.0.2', 40000, '10.0.0.1', 9000);
const into = udp('10.0.0.1', 40000, '10.0.0.2', 9000);
const at = (attachType: string, path = '/sys/fs/cgroup/unified/app.slice', link?: number): BpfAttachment => ({ where: 'cgroup', path, cgroup: path.replace('/sys/fs/cgroup/unified', ''), attachType, ...(link === undefined ? {} : { link }) });

const sent = drop('BPF_CGROUP_EGRESS', 'ip_finish_output', out, { softirq: false, stack: [frame('ip_finish_output'), frame('udp_sendmsg'), frame('__sys_sendto')], task: { pid: 4711, tid: 4711, comm: 'agentd' } });
const SENDER = process({ pid: 4711, comm: 'agentd', cgroup: '/app.slice/agentd.service', unit: 'agentd.service' });

test('an egress program on a cgroup above the sender', () => {
  const f = found(judged(cgroupDrop, sent, { answers: [SENDER, programs({ id: 17, name: 'noegress', attached: [at('inet_egress')] }, { id: 18, attached: [at('inet_egress', '/sys/fs/cgroup/unified/other.slice')] })] }));
  assert.match(f.culprit.text, /noegress \(program id 17\).*\/sys\/fs\/cgroup\/unified\/app\.slice/);
  assert.equal(f.remedies[0]?.command, 'bpftool cgroup detach /sys/fs/cgroup/unified/app.slice cgroup_inet_egress id 17');
  assert.ok(f.confidence > 0.95);
});

test('a program that a link holds is detached by its link', () => {
  const f = found(judged(cgroupDrop, sent, { answers: [SENDER, programs({ id: 17, attached: [at('inet_egress', '/sys/fs/cgroup/unified/app.slice', 3)] })] }));
  assert.equal(f.remedies[0]?.command, 'bpftool link detach id 3');
});

const received = drop('SOCKET_FILTER', 'udp_queue_rcv_one_skb', into);
const RECEIVER = [...socketAnswers('udp', [{ local: '10.0.0.2', port: 9000, state: 7, inode: 5 }]), owner(5, 12), process({ pid: 12, comm: 'flowlogd', cgroup: '/app.slice' })];

test('SOCKET_FILTER: an ingress program on the cgroup of the receiver, or its own filter', () => {
  const guilty = [...RECEIVER, programs({ id: 21, name: 'noingress', attached: [at('inet_ingress')] })];
  const byCgroup = found(judged(cgroupDrop, received, { answers: guilty }));
  assert.match(byCgroup.culprit.text, /noingress.*app\.slice/);
  assert.ok(byCgroup.confidence > found(judged(socketFilter, received, { answers: guilty })).confidence);
  const innocent = [...RECEIVER, programs({ id: 21, name: 'noingress', attached: [at('inet_ingress', '/sys/fs/cgroup/unified/app.slice/below')] })];
  assert.equal(judged(cgroupDrop, received, { answers: innocent }).outcome, 'ruled-out', 'a program below the process does not see its packets');
  const own = found(judged(socketFilter, received, { answers: innocent }));
  assert.match(own.culprit.text, /flowlogd \(pid 12/);
  assert.ok(own.confidence >= 0.95);
  // what leaves by a tap device meets the filter of the program behind it, and no socket of this host
  const tap = found(judged(socketFilter, drop('SOCKET_FILTER', 'tun_net_xmit', into, { interface: 'tap4', softirq: false }), { answers: innocent }));
  assert.match(tap.culprit.text, /program behind tap4 \(TUNATTACHFILTER\)/);
  assert.doesNotMatch(tap.explanation, /flowlogd/);
});

test('sendmsg and connect hooks refuse a call without a packet; other EPERMs are not theirs', () => {
  const f = found(judged(cgroupDrop, call('sendto', 'EPERM', { destination: '10.0.0.1:9000' }), { answers: [SENDER, programs({ id: 30, name: 'nosend', type: 'cgroup_sock_addr', attached: [at('udp4_sendmsg')] })] }));
  assert.equal(f.remedies[0]?.command, 'bpftool cgroup detach /sys/fs/cgroup/unified/app.slice cgroup_udp4_sendmsg id 30');
  assert.equal(judged(cgroupDrop, call('sendto', 'EPERM'), { answers: [SENDER, programs({ id: 30, attached: [at('inet4_connect')] })] }).outcome, 'ruled-out');
  assert.equal(judged(cgroupDrop, call('sendto', 'EPERM'), { answers: [SENDER] }).outcome, 'cannot-tell');
});

const hook = drop('NETFILTER_DROP', 'nf_hook_slow', out, { softirq: false, stack: [frame('nf_hook_slow'), frame('__ip_local_out'), frame('ip_send_skb'), frame('udp_send_skb'), frame('__sys_sendto')] });

test('a BPF netfilter link at the hook, at another hook, and an nf_tables rule', () => {
  const attached = (name: string): BpfAttachment => ({ where: 'netfilter', family: 'ipv4', hook: name, priority: -10, link: 5 });
  const f = found(judged(netfilterDrop, hook, { answers: [programs({ id: 40, name: 'nfdrop', type: 'netfilter', attached: [attached('output')] })] }));
  assert.equal(f.hook, 'OUTPUT');
  assert.equal(f.remedies[0]?.command, 'bpftool link detach id 5');
  assert.equal(judged(netfilterDrop, hook, { answers: [programs({ id: 40, type: 'netfilter', attached: [attached('input')] })] }).outcome, 'ruled-out');
  assert.equal(judged(netfilterDrop, drop('NETFILTER_DROP', 'nft_do_chain', out)).outcome, 'not-applicable');
});

test('a tcx link, and an interface without one', () => {
  const tcx = (ifindex: number): BpfAttachment => ({ where: 'tcx', ifindex, netns: BLUE, direction: 'ingress', link: 9 });
  const symptom = drop('TC_INGRESS', '__netif_receive_skb_core.constprop.0', into);
  const f = found(judged(tcxDrop, symptom, { answers: [programs({ id: 50, name: 'guard', type: 'sched_cls', attached: [tcx(2)] }), [{ topic: 'filter', netns: BLUE, argument: 'eth0' }, '[]']] }));
  assert.match(f.culprit.text, /guard .*eth0.*link 9/);
  assert.equal(f.remedies[0]?.command, 'bpftool link detach id 9');
  assert.equal(judged(tcxDrop, symptom, { answers: [programs({ id: 50, type: 'sched_cls', attached: [tcx(3)] })] }).outcome, 'ruled-out');
  assert.equal(judged(tcxDrop, received).outcome, 'not-applicable');
});

const link = (mode: number, program?: number): Answered => [{ topic: 'link', netns: BLUE }, JSON.stringify([{ ifindex: 2, ifname: 'eth0', flags: ['UP'], ...(program === undefined ? {} : { xdp: { mode, prog: { id: program, name: 'ddos', tag: '8b7b1ed9e9ea4759', jited: 1, load_time: 3170739036900, created_by_uid: 0 }, attached: [{ mode, prog: { id: program, name: 'ddos', tag: '8b7b1ed9e9ea4759', jited: 1, load_time: 3170739036900, created_by_uid: 0 } }] } }) }])];

test('XDP: the word that takes a program off must fit its mode', () => {
  const native = found(judged(xdpDrop, drop('NOT_SPECIFIED', 'veth_xdp_rcv_skb', into), { answers: [link(1, 97), programs()] }));
  assert.equal(native.remedies[0]?.command, 'ip -n blue link set dev eth0 xdp off');
  assert.match(native.culprit.text, /XDP program ddos \(id 97, native mode\) on eth0/);
  const generic = found(judged(xdpDrop, drop('NOT_SPECIFIED', 'do_xdp_generic', into), { answers: [link(2, 97), programs()] }));
  assert.equal(generic.remedies[0]?.command, 'ip -n blue link set dev eth0 xdpgeneric off');
  const linked = found(judged(xdpDrop, drop('NOT_SPECIFIED', 'do_xdp_generic', into), { answers: [link(2, 97), programs({ id: 97, type: 'xdp', attached: [{ where: 'xdp', ifindex: 2, link: 12 }] })] }));
  assert.equal(linked.remedies[0]?.command, 'bpftool link detach id 12');
});

test('XDP: without a program it says so, and other places are not its own', () => {
  assert.ok(found(judged(xdpDrop, drop('NOT_SPECIFIED', 'veth_xdp_rcv_skb', into), { answers: [link(1), programs()] })).confidence < 0.9);
  assert.equal(judged(xdpDrop, drop('NOT_SPECIFIED', 'tcp_v4_rcv', into)).outcome, 'not-applicable');
});
