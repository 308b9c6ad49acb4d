import { recogniseLogLine } from '../../formats/app-log.ts';
import type { LogSign } from '../../model/log-sign.ts';
import type { LogSymptom } from '../../model/symptom.ts';

/** What the line of a symptom tells. */
export function signOf(symptom: LogSymptom): LogSign | undefined {
  return recogniseLogLine(symptom.line);
}
