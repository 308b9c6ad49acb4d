import { readdirSync, readFileSync } from 'node:fs';
import { replay } from '../../src/app/replay.ts';
import { readRecording } from '../../src/recording/file.ts';

export const RECORDINGS = new URL('../../fixtures/recordings/', import.meta.url).pathname;
export const recordings: readonly string[] = readdirSync(RECORDINGS).filter((f) => f.endsWith('.whydrop')).sort();
const NOTHING = { pids: [], protocols: [], ports: [], addresses: [] };

/** What a recording is judged to be today, as the golden file has it. */
export function verdictOf(file: string): string {
  const { records, status } = readRecording(readFileSync(`${RECORDINGS}${file}`));
  const judged = replay(records, { filter: NOTHING, onlyCauses: [] });
  return `${JSON.stringify({ status, incidents: judged?.incidents, losses: judged?.losses, eventsSeen: judged?.eventsSeen }, undefined, 2)}\n`;
}

export const goldenPath = (file: string): string => `${RECORDINGS}${file.replace(/\.whydrop$/, '.verdict.json')}`;
