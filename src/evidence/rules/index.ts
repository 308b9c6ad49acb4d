/** Netfilter rules as evidence: the listing of a namespace, and which rule a packet met. */
export { droppingRule, manglingRules, matchedInvalid, natRules, notrackRules, rulesInnocent, sources, type PlacedRule } from './facts.ts';
export { droppedByNetfilter, hookName, hookOf, type HookPoint } from './hook.ts';
export { ruleset, rulesetBefore, type Listing } from './listing.ts';
export { deleteRule, remediesFor } from './remedy.ts';
export { trial, whereText, type DroppingRule, type Trial } from './trial.ts';
export { place } from './walk.ts';
