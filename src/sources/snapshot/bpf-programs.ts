import type { Reader } from './reader.ts';

export const bpfPrograms: Reader = (task) => ({ unavailable: 'unsupported', what: `reading ${task.question.topic}`, why: 'this build has no reader for it' });
