export { renderDiagram } from './diagram.ts';
export { renderArmed, renderLoss, type ArmedInput } from './armed.ts';
export { renderDoctor, type DoctorInput } from './doctor.ts';
export { renderExplain, type ExplanationInput } from './explain.ts';
export { renderIncident, renderUpdate, type IncidentOptions } from './incident.ts';
export { costText, renderSummary, type SummaryInput } from './summary.ts';
export { terminalOptions, wrap, type TextOptions } from './text.ts';
