/** Connection tracking as evidence: the table, what changed in it and who asked for that, translation. */
export { authorOf, deleteCommands, type Author } from './author.ts';
export { around, deletions, deletionText, destroyedEntry, raceAround, rivalryOf, type Deletion, type Destroyed, type RaceEvents, type Rivalry } from './changes.ts';
export { tableFullLines, type FullLine } from './kernel-log.ts';
export { conntrackTable, entriesOf, occupancy, sysctlOf, takenPorts, type Holder, type Occupancy } from './table.ts';
export { inverse, sameExchange, sameTuple, translationOf, tupleOfDrop, tupleOfPacket, tupleText, type Translation } from './tuple.ts';
export { portChoice, randomised, snatRules, widened, type RuleChange, type SnatRule } from './snat.ts';
export { hookText, ruleDidIt, suspicionOf, type Suspicion } from './suspicion.ts';
export { exemption, type Exemption } from './notrack.ts';
