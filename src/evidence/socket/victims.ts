import type { Evidence } from '../../model/evidence.ts';
import { flowOf } from '../../model/flow.ts';
import type { Victim } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { flowOfCall } from './flow.ts';
import { ownerOf } from './owner.ts';

/** Who suffered from one symptom. Waits for nothing: what is not known yet is left out. */
export function victimsOf(evidence: Evidence, symptom: Symptom): Victim[] {
  const owner = ownerOf(evidence, symptom);
  const process = isUnavailable(owner) ? undefined : owner;
  const call = symptom.kind === 'call' ? symptom.call : symptom.kind === 'drop' ? symptom.call : undefined;
  const flow = symptom.kind === 'drop' ? flowOf(symptom.drop.packet) : symptom.kind === 'call' ? flowOfCall(symptom.call) : undefined;
  if (process === undefined && flow === undefined && call === undefined) return [];
  return [
    {
      ...(process === undefined ? undefined : { process }),
      ...(flow === undefined ? undefined : { flow }),
      ...(call === undefined ? undefined : { syscall: call.syscall, errno: call.errno }),
      count: 1,
    },
  ];
}
