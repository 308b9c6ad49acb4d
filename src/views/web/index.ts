export { createGate, type Gate, type WebRequest } from './gate.ts';
export { handle, jsonText, MOST_UPLOAD, SAFE, type Reply, type WebOptions, type World } from './handler.ts';
export { LISTED_INCIDENTS, listed, type CauseText, type HostState, type IncidentDetail, type RuleRow, type SourceName, type SourceState } from './protocol.ts';
