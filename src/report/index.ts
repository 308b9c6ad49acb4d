export { actorIndex, type Actor, type Diagram, type Message } from './diagram.ts';
export { lossCount, lossUnit, lossWords, victimShort, victimWords } from './losses.ts';
export { createRates, type Rates } from './rates.ts';
export { netnsText, reportOf, type EvidenceGroup, type FlowRow, type Labelled, type Report } from './report.ts';
export type { CounterSeries, ReportHost, ReportInput, StackCount, Timeline } from './report-input.ts';
export * from './vocabulary.ts';
export type { CostLine, LossLine, ProbeLine, RateSeries, WatchState } from './watch-state.ts';
export { age, byteSize, clock, counted, grouped, sentence, short, span } from './words.ts';
export { sequenceOf, type SequenceOptions } from './sequence.ts';
