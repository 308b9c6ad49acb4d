import { explore, KERNELS, type Exploration, type Protocol, type Racers } from './model.ts';

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
  const lines: string[] = [];
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
  return lines.join('\n');
}
