import { explain as explanationOf } from '../causes/explain.ts';
import { causes } from '../causes/index.ts';
import { raceTable } from '../causes/race-model/table.ts';
import { nearest } from '../base/nearest.ts';
import { renderExplain } from '../views/cli/index.ts';
import { UsageError } from './exit.ts';
import { look } from './plain.ts';
import { jsonLine } from './stream.ts';

/** `whydrop explain WORDS`: from the same texts as docs/causes/. */
export async function explain(words: string, options: { readonly json?: boolean; readonly diagram?: boolean }): Promise<void> {
  const found = explanationOf(words);
  if (found === undefined) {
    const near = nearest(words, causes.map((c) => c.id));
    throw new UsageError(`nothing is known of ${JSON.stringify(words)}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  if (options.json === true) process.stdout.write(jsonLine({ ...found, causes: found.causes.map(({ id, title, knowledge }) => ({ id, title, knowledge })) }));
  else process.stdout.write(renderExplain(found, look(process.stdout)));
  if (options.diagram === true) process.stdout.write(`\nWhich kernels lose a packet, every interleaving enumerated:\n\n${raceTable()}`);
}
