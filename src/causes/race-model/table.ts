import { explore, KERNELS, retold, type Exploration, type Protocol, type Racers, type Step } from './model.ts';

const PROTOCOLS: readonly Protocol[] = ['udp', 'tcp', 'icmp'];
const RACERS: readonly Racers[] = ['send-and-receive', 'two-sends'];

/** Every setting of the model, explored: {kernels} × {NAT, none} × {UDP, TCP, ICMP} × {who races}. */
export function exploreAll(): readonly Exploration[] {
  return RACERS.flatMap((racers) =>
    Object.values(KERNELS).flatMap((kernel) => [true, false].flatMap((nat) => PROTOCOLS.map((protocol) => explore({ kernel, protocol, nat, racers })))),
  );
}

/** The result of a setting in a word or two. */
export function outcomeText(e: Exploration): string {
  if (e.lost > 0) return `loses (${e.lost} of ${e.interleavings})`;
  if (e.rewritten > 0) return `wrong port (${e.rewritten} of ${e.interleavings})`;
  return 'safe';
}

/** The table that `explain conntrack.insert-race --diagram` prints. */
export function raceTable(): string {
  const all = exploreAll();
  const lines: string[] = [
    'loses (n of m): of the m orders in which the steps can happen n lose a packet (no probability: the races are rare).',
    'wrong port: some let a packet leave with a source port that nobody asked for. safe: no order does either.',
    'NAT hooked: a nat table exists, even if none of its rules ever matches.',
    'lookup is where a packet enters netfilter, NAT and confirm (which inserts the entry) are where it leaves.',
    '',
  ];
  for (const racers of RACERS) {
    lines.push(racers === 'send-and-receive' ? 'A packet sent and one received race after a flush:' : 'Two first packets of one flow are sent at once on two CPUs:');
    lines.push(`  ${'kernel'.padEnd(16)}${'NAT'.padEnd(10)}${PROTOCOLS.map((p) => p.toUpperCase().padEnd(32)).join('')}`.trimEnd());
    for (const kernel of Object.values(KERNELS)) {
      for (const nat of [true, false]) {
        const cells = PROTOCOLS.map((protocol) => {
          const e = all.find((x) => x.setting.kernel === kernel && x.setting.nat === nat && x.setting.protocol === protocol && x.setting.racers === racers);
          const both = e !== undefined && e.lost > 0 && e.rewritten > 0 ? ' + wrong port' : '';
          return `${e === undefined ? '' : outcomeText(e)}${both}`.padEnd(32);
        });
        lines.push(`  ${kernel.name.padEnd(16)}${(nat ? 'hooked' : 'none').padEnd(10)}${cells.join('')}`.trimEnd());
      }
    }
    lines.push('');
  }
  lines.push('Two connections that SNAT or MASQUERADE gives one tuple lose a packet on every kernel: they cannot be merged.', '');
  return lines.join('\n');
}

/** One interleaving worth looking at. */
export interface Story {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** The shortest interleavings that go wrong, and what a kernel with the fix makes of the first. */
export function raceStories(): readonly Story[] {
  const flush = { protocol: 'udp', nat: true, racers: 'send-and-receive' } as const;
  const before = explore({ ...flush, kernel: KERNELS.from56 });
  const fixed = before.loses === undefined ? undefined : retold(before.loses, { ...flush, kernel: KERNELS.from612 });
  const old = explore({ ...flush, nat: false, kernel: KERNELS.before47 });
  const twice = explore({ ...flush, protocol: 'icmp', nat: false, racers: 'two-sends', kernel: KERNELS.from612 });
  const stories: readonly (readonly [string, readonly Step[] | undefined])[] = [
    ['UDP, 5.6 to 6.11, NAT hooked: a packet is lost', before.loses],
    ['The same order on 6.12 and later: nothing is lost', fixed],
    ['UDP, 5.6 to 6.11, NAT hooked: a packet leaves with the wrong port', before.rewrites],
    ['UDP, before 4.7, no NAT: a packet is lost (the incident of 2013)', old.loses],
    ['Two echo requests of one id at once, 6.12 and later: one is lost', twice.loses],
  ];
  return stories.flatMap(([title, steps]) => (steps === undefined ? [] : [{ title, steps }]));
}
