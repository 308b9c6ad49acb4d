import type { Cause } from '../model/cause.ts';
import { cause as unknown } from './unknown.ts';

/** Every cause, one line each. Where two are equally sure, the earlier one is taken. */
export const causes: readonly Cause[] = [
  unknown,
];
