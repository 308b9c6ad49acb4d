/** Takes today's verdicts on fixtures/recordings/ as the right ones: look at the difference before you commit it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { goldenPath, recordings, verdictOf } from '../test/replay/goldens.ts';

for (const file of recordings) {
  const path = goldenPath(file);
  const now = verdictOf(file);
  const same = existsSync(path) && readFileSync(path, 'utf8') === now;
  if (!same) writeFileSync(path, now);
  console.log(`${same ? 'same   ' : 'changed'} ${path}`);
}
