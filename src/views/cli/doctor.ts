import { counted, type ProbeLine } from '../../report/index.ts';
import { createPainter, wrap, type TextOptions } from './text.ts';

export interface DoctorInput {
  readonly kernel: string;
  readonly probes: readonly ProbeLine[];
}

/** What this kernel and this user allow. */
export function renderDoctor(doctor: DoctorInput, options: TextOptions): string {
  const { outside, style, width, join } = createPainter(options);
  const missing = doctor.probes.filter((p) => p.state === 'unavailable');
  const lines = [
    style('bold', missing.length === 0 ? `Everything that whydrop can watch with works here (kernel ${outside(doctor.kernel)}).` : `${doctor.probes.length - missing.length} of ${counted(doctor.probes.length, 'probe')} can be armed here (kernel ${outside(doctor.kernel)}).`),
    '',
  ];
  for (const probe of doctor.probes) {
    const armed = probe.state === 'armed';
    lines.push(`  ${style(armed ? 'green' : ['bold', 'yellow'], armed ? 'ok     ' : 'MISSING')}  ${outside(probe.id)}`);
    if (probe.why !== undefined) lines.push(...wrap(outside(`why: ${probe.why}`), width, '           '));
    if (probe.without !== undefined && !armed) lines.push(...wrap(outside(`without it: ${probe.without}`), width, '           '));
    if (probe.fix !== undefined) lines.push(...wrap(outside(`to get it: ${probe.fix}`), width, '           '));
  }
  return join(lines);
}
