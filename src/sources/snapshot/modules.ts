import { release } from 'node:os';
import { isUnavailable } from '../../model/unavailable.ts';
import { readText } from '../read.ts';

const builtInOf = new Map<string, ReadonlySet<string>>(); // by path: the list is fixed while the kernel runs

/**
 * Whether asking for a listing would make the kernel load this module just now. True only when that is certain: it is
 * neither loaded nor built in. Then there is nothing to list either.
 */
export function surelyNotLoaded(name: string, files = { loaded: '/proc/modules', builtIn: `/lib/modules/${release()}/modules.builtin` }): boolean {
  const loaded = readText(files.loaded);
  if (isUnavailable(loaded) || new RegExp(`^${name} `, 'm').test(loaded)) return false;
  let builtIn = builtInOf.get(files.builtIn);
  if (builtIn === undefined) {
    const list = readText(files.builtIn);
    if (isUnavailable(list)) return false;
    builtIn = new Set(list.split('\n').map((path) => /([^/]+)\.ko$/.exec(path)?.[1]?.replaceAll('-', '_') ?? ''));
    builtInOf.set(files.builtIn, builtIn);
  }
  return !builtIn.has(name);
}
