import type { PostMortemFacts } from '../../evidence/post-mortem/index.ts';
import type { Cause } from '../../model/cause.ts';
import { insertRaceFrom } from './insert-race.ts';
import { rewrittenPortFrom } from './rewritten-port.ts';
import { ruleDropFrom } from './rule-drop.ts';
import { tableFullFrom } from './table-full.ts';

/** Judges for text that others collected: the same causes as live, reached with fewer pieces and less confidence. */
export function postMortemCauses(facts: PostMortemFacts): readonly Cause[] {
  return [insertRaceFrom(facts), rewrittenPortFrom(facts), tableFullFrom(facts), ruleDropFrom(facts)];
}
