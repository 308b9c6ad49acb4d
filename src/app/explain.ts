import { explain as explanationOf } from '../causes/explain.ts';
import { causes } from '../causes/index.ts';
import { exploreAll, raceStories, raceTable, type Story } from '../causes/race-model/table.ts';
import { nearest } from '../base/nearest.ts';
import type { Diagram } from '../report/index.ts';
import { renderDiagram, renderExplain } from '../views/cli/index.ts';
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
  const diagram = options.diagram === true && found.causes.some((c) => c.id === RACE);
  if (options.diagram === true && !diagram) throw new UsageError(`there is a diagram of ${RACE} only`);
  if (options.json === true) {
    process.stdout.write(jsonLine({ ...found, causes: found.causes.map(({ id, title, knowledge }) => ({ id, title, knowledge })), ...(diagram ? { race: exploreAll(), stories: raceStories() } : {}) }));
    return;
  }
  const shape = look(process.stdout);
  process.stdout.write(renderExplain(found, shape));
  if (!diagram) return;
  process.stdout.write(`\nWhich kernels lose a packet, from a model of the race: every order of its steps is tried\n\n${raceTable()}`);
  for (const story of raceStories()) process.stdout.write(`\n${renderDiagram(drawn(story), shape)}`);
}

const RACE = 'conntrack.insert-race';
const TABLE = { id: 'table', label: 'conntrack table' };

/** A story of the model as the sequence diagram that real incidents are drawn as. */
function drawn({ title, steps }: Story): Diagram {
  const who = ['flusher', 'table', 'sender', 'receiver', 'other sender'].filter((id) => id === TABLE.id || steps.some((s) => s.actor === id));
  const labels: Readonly<Record<string, string>> = { flusher: 'conntrack -F', sender: 'sending, CPU 0', receiver: 'receiving, CPU 1', 'other sender': 'sending, CPU 1' };
  return { title, actors: who.map((id) => (id === TABLE.id ? TABLE : { id, label: labels[id] ?? id })), messages: steps.map((s) => ({ from: s.actor, to: TABLE.id, text: s.text, kind: s.kind })) };
}
