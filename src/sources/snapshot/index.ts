import { mono, type Netns } from '../../base/brand.ts';
import type { Question, Topic } from '../../model/question.ts';
import type { AnswerRecord } from '../../model/record.ts';
import { createCommands } from '../command.ts';
import { createDescriptors } from '../descriptors.ts';
import { bpfPrograms } from './bpf-programs.ts';
import { namespaceInode } from '../process.ts';
import * as iproute from './iproute.ts';
import * as files from './kernel-files.ts';
import * as netlink from './netlink.ts';
import * as processes from './processes.ts';
import type { Body, Desk, Reader } from './reader.ts';
import * as rules from './rules.ts';

/** Answers questions about the host. Whoever creates it closes it. */
export interface Snapshots {
  /** Never rejects: what stands in the way of an answer is the answer. */
  ask(question: Question): Promise<AnswerRecord>;
  /** A text that changes when the answer to a question does, had for less; undefined where only asking tells. */
  sign?(question: Question): string | undefined;
  /** Whether a process is one of the programs that were run for an answer. */
  owns(pid: number): boolean;
  /** Ends what is still being read; its questions are answered with that. */
  close(): void;
}

/** Every topic and who reads it. What each answer looks like: docs/answers.md. */
const READERS: Readonly<Record<Topic, Reader>> = {
  nft: rules.nft,
  iptables: rules.xtablesNft('ip'),
  ip6tables: rules.xtablesNft('ip6'),
  'iptables-legacy': rules.xtablesLegacy('ip'),
  'ip6tables-legacy': rules.xtablesLegacy('ip6'),
  ebtables: rules.ebtables,
  arptables: rules.arptables,
  ipset: rules.ipset,
  link: iproute.link,
  address: iproute.address,
  route: iproute.route,
  route6: iproute.route6,
  rule: iproute.rule,
  rule6: iproute.rule6,
  neighbour: iproute.neighbour,
  'bridge-link': iproute.bridgeLink,
  'bridge-fdb': iproute.bridgeFdb,
  'bridge-vlan': iproute.bridgeVlan,
  qdisc: iproute.qdisc,
  class: iproute.classes,
  filter: iproute.filter,
  'xfrm-policy': iproute.xfrmPolicy,
  'xfrm-state': iproute.xfrmState,
  'route-get': iproute.routeGet,
  proc: files.proc,
  sysctl: files.sysctl,
  sockets: netlink.sockets,
  'conntrack-table': netlink.conntrackTable,
  'conntrack-stats': netlink.conntrackStats,
  'neighbour-waiting': netlink.neighbourWaiting,
  process: processes.processReader,
  'socket-owner': processes.socketOwner,
  processes: processes.processes,
  'log-tail': processes.logTail,
  'bpf-programs': bpfPrograms,
  'netns-names': processes.netnsNames,
  'kernel-log': files.kernelLog,
  clock: files.clock,
};

export interface SnapshotOptions {
  /** The way into a namespace: what to open. Undefined when it is gone. */
  netnsPath(inode: Netns): string | undefined;
}

export function createSnapshots(options: SnapshotOptions): Snapshots {
  const commands = createCommands();
  const own = namespaceInode('self');
  const desk: Desk = { commands, descriptors: createDescriptors() };
  return {
    ask: async (question) => {
      const time = mono(process.hrtime.bigint());
      return { record: 'answer', time, question, body: await answer(question, question.netns === undefined || question.netns === own ? 'own' : options.netnsPath(question.netns), desk) };
    },
    sign: ({ topic, netns }) => (topic === 'processes' ? processes.processesSign(netns ?? own ?? 0) : undefined),
    owns: (pid) => commands.owns(pid),
    close: () => commands.close(),
  };
}

async function answer(question: Question, path: 'own' | string | undefined, desk: Desk): Promise<Body> {
  if (path === undefined) return { unavailable: 'missing', what: `entering network namespace net:[${question.netns}]`, why: 'it is gone' };
  return READERS[question.topic]({ question, argument: question.argument, netnsPath: path === 'own' ? undefined : path, desk });
}
