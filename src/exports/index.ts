export { csvCell, csvLine, csvOf } from './csv.ts';
export { COLUMNS, countedRowOf, isoNs, rowOf, undescribedRowOf, type CapturedHead, type CountedRow, type Exported, type ExportedEvent, type Row } from './exported.ts';
export { foldedOf, stackCounts } from './folded.ts';
export { jsonOf } from './json.ts';
export { pcapngOf } from './pcapng.ts';
export { chromeTraceOf } from './perfetto.ts';
export { PROMETHEUS_TYPE, prometheusText, type Metric } from './prometheus.ts';
export { undescribedOf, type Undescribed } from './undescribed.ts';
export { weightsOf } from './weights.ts';
