import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as invalid } from '../../src/causes/tcp/invalid-segment.ts';
import { cause as md5 } from '../../src/causes/tcp/md5-mismatch.ts';
import { cause as minttl } from '../../src/causes/tcp/minttl.ts';
import { ADDRESSES, BLUE, drop, found, judged, owner, process, socketAnswers, tcp } from './socket-world.ts';
import type { Answered } from '../fake-evidence.ts';
import { GREEN } from '../fake-evidence.ts';

const ACK = 16, PSH = 8, SYN = 2;
const segment = tcp('10.0.0.1', 40000, '10.0.0.2', 8443, PSH | ACK, 116);

/** `nft -j list ruleset` of the rule that the laboratory plants, and of one that does nothing to packets. */
const NFT_MUNGE = '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "ip", "name": "munge", "handle": 1}}, {"chain": {"family": "ip", "table": "munge", "name": "pre", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -350, "policy": "accept"}}, {"rule": {"family": "ip", "table": "munge", "chain": "pre", "handle": 2, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8443}}, {"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, "psh"]}, "right": "psh"}}, {"mangle": {"key": {"tcp option": {"name": "timestamp", "field": "tsval"}}, "value": 1}}]}}]}';
const NFT_IDLE = '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "ip", "name": "filter", "handle": 1}}, {"chain": {"family": "ip", "table": "filter", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}, {"rule": {"family": "ip", "table": "filter", "chain": "input", "handle": 2, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8443}}, {"counter": {"packets": 4, "bytes": 400}}, {"accept": null}]}}]}';
const nft = (body: string): Answered => [{ topic: 'nft', netns: BLUE }, body];

test('PAWS: the rule that rewrites timestamps is the culprit', () => {
  const f = found(judged(invalid, drop('TCP_RFC7323_PAWS', 'tcp_validate_incoming', segment), { answers: [nft(NFT_MUNGE)] }));
  assert.equal(f.culprit.kind, 'rule');
  assert.match(f.culprit.text, /ip munge pre.*handle 2.*timestamp/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue nft delete rule ip munge pre handle 2');
});

test('PAWS without such a rule lies with the peer; a rule that only counts is innocent', () => {
  const f = found(judged(invalid, drop('TCP_RFC7323_PAWS', 'tcp_validate_incoming', segment), { answers: [nft(NFT_IDLE)] }));
  assert.equal(f.culprit.kind, 'peer');
  assert.match(f.explanation, /No firewall rule in network namespace blue changes the timestamp/);
});

test('repeated segments are information, other reasons none of its business', () => {
  for (const reason of ['TCP_OLD_DATA', 'TCP_OFOMERGE', 'TCP_OLD_SEQUENCE']) assert.equal(found(judged(invalid, drop(reason, 'tcp_data_queue', segment))).severity, 'info');
  assert.equal(judged(invalid, drop('NO_SOCKET', 'tcp_v4_rcv', segment)).outcome, 'not-applicable');
});

test('MD5: each of the ways to disagree', () => {
  const answers = [...socketAnswers('tcp-listen', [{ local: '10.0.0.2', port: 179, state: 10, inode: 8 }]), owner(8, 20), process({ pid: 20, comm: 'bgpd' })];
  const syn = tcp('10.0.0.1', 40000, '10.0.0.2', 179, SYN);
  const wrong = found(judged(md5, drop('TCP_MD5FAILURE', 'tcp_v4_rcv', syn), { answers }));
  assert.match(wrong.culprit.text, /MD5.*10\.0\.0\.1.*bgpd \(pid 20/);
  assert.match(found(judged(md5, drop('TCP_MD5NOTFOUND', 'tcp_v4_rcv', syn), { answers })).explanation, /not signed/);
  assert.match(found(judged(md5, drop('TCP_MD5UNEXPECTED', 'tcp_v4_rcv', syn), { answers })).explanation, /no key/);
  assert.match(found(judged(md5, drop('TCP_AOKEYNOTFOUND', 'tcp_v4_rcv', syn), { answers })).explanation, /Authentication Option/);
  assert.equal(judged(md5, drop('TCP_MINTTL', 'tcp_v4_rcv', syn)).outcome, 'not-applicable');
});

test('a TTL below what the socket demands: the sender is told to send with 255 where it can be reached', () => {
  const syn = tcp('10.0.0.1', 40000, '10.0.0.2', 179, SYN);
  const listener = [...socketAnswers('tcp-listen', [{ local: '10.0.0.2', port: 179, state: 10, inode: 8 }]), owner(8, 20), process({ pid: 20, comm: 'bgpd' }), ADDRESSES, nft(NFT_IDLE)];
  const green: Answered[] = [[{ topic: 'address', netns: GREEN }, '[{"ifindex":2,"ifname":"eth0","addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24,"scope":"global"}]}]'], [{ topic: 'sysctl', netns: GREEN, argument: 'net/ipv4/ip_default_ttl' }, '64']];
  const near = found(judged(minttl, drop('TCP_MINTTL', 'tcp_v4_rcv', syn), { answers: [...listener, ...green] }));
  assert.equal(near.remedies[0]?.command, 'ip netns exec green sysctl -w net.ipv4.ip_default_ttl=255');
  assert.match(near.culprit.text, /bgpd .*TTL 64/);
  const far = found(judged(minttl, drop('TCP_MINTTL', 'tcp_v4_rcv', syn), { answers: listener }));
  assert.equal(far.remedies[0]?.command, undefined);
  assert.equal(judged(minttl, drop('IP_INHDR', 'ip_forward', syn)).outcome, 'not-applicable');
});
