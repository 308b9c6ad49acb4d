import { renderDoctor } from '../views/cli/index.ts';
import { look } from './plain.ts';
import { probeEverything, WITHOUT } from './probes.ts';
import { jsonLine } from './stream.ts';

/** `whydrop doctor`: arms every probe for a moment and says what came of it. */
export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const { kernel, states } = await probeEverything();
  const probes = states.map((s) => ({ ...s, ...(s.state === 'unavailable' && WITHOUT[s.id] !== undefined ? { without: WITHOUT[s.id] as string } : {}) }));
  process.stdout.write(options.json === true ? jsonLine({ type: 'doctor', kernel, probes }) : renderDoctor({ kernel, probes }, look(process.stdout)));
}
