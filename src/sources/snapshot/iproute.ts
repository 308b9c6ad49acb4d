import { parseInet } from '../../base/inet.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { refusal } from '../command.ts';
import { badArgument, listing, where, type Reader, type Task } from './reader.ts';
import { surelyNotLoaded } from './modules.ts';

/** Full routing tables of large routers. */
const ROUTES_LIMIT = 64 * 1024 * 1024;

/**
 * A listing in JSON. iproute2 prints nothing at all, not `[]`, for some empty ones, and writes control characters of
 * names as they are: an interface called `ESC[31m` would make the whole listing unreadable, so they are escaped here.
 */
async function array(task: Task, program: string, args: readonly string[], limit?: number): Promise<Maybe<string>> {
  const text = await listing(task, program, args, limit);
  if (isUnavailable(text)) return text;
  return text.trim() === '' ? '[]' : text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const plain = (program: string, args: readonly string[], limit?: number): Reader => (task) => array(task, program, args, limit);

export const link = plain('ip', ['-j', '-d', '-s', '-s', 'link', 'show']);
export const address = plain('ip', ['-j', '-d', 'address', 'show']);
export const route = plain('ip', ['-4', '-j', '-d', 'route', 'show', 'table', 'all'], ROUTES_LIMIT);
export const route6 = plain('ip', ['-6', '-j', '-d', 'route', 'show', 'table', 'all'], ROUTES_LIMIT);
export const rule = plain('ip', ['-4', '-j', '-d', 'rule', 'show']);
export const rule6 = plain('ip', ['-6', '-j', '-d', 'rule', 'show']);
export const bridgeLink = plain('bridge', ['-j', '-d', '-s', 'link', 'show']);
export const bridgeFdb = plain('bridge', ['-j', '-d', '-s', 'fdb', 'show']);
/** A kernel without VLAN filtering refuses to list; then no bridge filters. */
export const bridgeVlan: Reader = async (task) => {
  const text = await array(task, 'bridge', ['-j', '-d', 'vlan', 'show']);
  return isUnavailable(text) && text.unavailable === 'unsupported' ? '[]' : text;
};
export const qdisc = plain('tc', ['-j', '-s', '-d', 'qdisc', 'show']);

export const neighbour: Reader = async (task) => {
  const [entries, proxies] = await Promise.all([
    array(task, 'ip', ['-j', '-s', 'neigh', 'show', 'nud', 'all']),
    array(task, 'ip', ['-j', 'neigh', 'show', 'proxy']),
  ]);
  if (isUnavailable(entries) || isUnavailable(proxies)) return entries;
  const more = parsed(proxies);
  if (more === undefined || more.length === 0) return entries;
  const marked = JSON.stringify(more.map((entry) => ({ ...(entry as object), proxy: true })));
  const before = entries.trim();
  return before.endsWith('[]') ? marked : `${before.slice(0, before.lastIndexOf(']'))},${marked.slice(1)}`;
};

/** Both listings end with a word of the kernel's own where the module is missing; then there are no policies either. */
const xfrm = (args: readonly string[]): Reader => (task) => (surelyNotLoaded('xfrm_user') ? '' : listing(task, 'ip', ['-s', 'xfrm', ...args], ROUTES_LIMIT));
const xfrmPolicies = xfrm(['policy', 'list']);
const xfrmDefaults = xfrm(['policy', 'getdefault']);
/** The list, and behind it what is done with packets that no policy matches, where that is to block (iproute2 5.15, Linux 5.14). */
export const xfrmPolicy: Reader = async (task) => {
  const [list, defaults] = await Promise.all([xfrmPolicies(task), xfrmDefaults(task)]);
  return typeof list !== 'string' || typeof defaults !== 'string' || !/:\s+block\b/.test(defaults) ? list : `${list}${list === '' || list.endsWith('\n') ? '' : '\n'}${defaults}`;
};
export const xfrmState = xfrm(['state', 'list', 'nokeys']);

const CLASSFUL = new Set(['htb', 'hfsc', 'drr', 'qfq', 'cbq', 'ets', 'prio', 'multiq', 'mqprio', 'taprio', 'mq', 'atm', 'dsmark']);
const CLASS_DEVICES = 64;

interface Qdisc { readonly kind: string; readonly handle: string; readonly dev?: string; readonly root?: boolean }

async function qdiscsOf(task: Task, device?: string): Promise<Maybe<Qdisc[]>> {
  const text = await array(task, 'tc', ['-j', 'qdisc', 'show', ...(device === undefined ? [] : ['dev', device])]);
  if (isUnavailable(text)) return text;
  return (parsed(text) as Qdisc[] | undefined) ?? { unavailable: 'malformed', what: 'running tc -j qdisc show', why: 'its JSON does not parse' };
}

/**
 * Classes of every device that has any; of one device when the argument names it. Text: tc writes JSON here only in its
 * newer releases, and not for every kind.
 */
export const classes: Reader = async (task) => {
  const qdiscs = await qdiscsOf(task, task.argument);
  if (isUnavailable(qdiscs)) return qdiscs;
  const devices = [...new Set(qdiscs.filter((q) => CLASSFUL.has(q.kind)).flatMap((q) => q.dev ?? task.argument ?? []))].slice(0, CLASS_DEVICES);
  const listings = await Promise.all(devices.map((dev) => listing(task, 'tc', ['-s', '-d', 'class', 'show', 'dev', dev])));
  let all = '';
  for (const [i, text] of listings.entries()) {
    if (isUnavailable(text)) return text;
    all += `# dev ${devices[i]}\n${text}`;
  }
  return all;
};

/**
 * Filters of one device, by the place they hang: tc lists one parent at a time. What tc prints as broken JSON (some
 * classifiers of older releases write plain text between) is given as its plain listing, a string.
 */
export const filter: Reader = async (task) => {
  const device = task.argument;
  if (device === undefined || device === '') return badArgument(task, 'a device');
  const qdiscs = await qdiscsOf(task, device);
  if (isUnavailable(qdiscs)) return qdiscs;
  const places = new Map<string, readonly string[]>();
  for (const q of qdiscs) {
    if (q.kind === 'clsact' || q.kind === 'ingress') places.set('ingress', ['ingress']);
    if (q.kind === 'clsact') places.set('egress', ['egress']);
    if (q.root === true) places.set('root', []);
    else if (CLASSFUL.has(q.kind)) places.set(q.handle, ['parent', q.handle]);
  }
  const result: Record<string, unknown> = {};
  for (const [place, args] of places) {
    const words = ['filter', 'show', 'dev', device, ...args];
    const listed = await array(task, 'tc', ['-j', '-s', '-d', ...words]);
    if (isUnavailable(listed)) return listed;
    const value = parsed(listed) ?? (await listing(task, 'tc', ['-s', '-d', ...words]));
    if (isUnavailable(value)) return value;
    result[place] = value;
  }
  return JSON.stringify(result);
};

/** errno names of the refusals that `ip route get` prints with strerror. */
const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  'Network is unreachable': 'ENETUNREACH', 'No route to host': 'EHOSTUNREACH', 'Invalid argument': 'EINVAL', 'Permission denied': 'EACCES', 'Invalid cross-device link': 'EXDEV',
  'No such process': 'ESRCH', 'No such device': 'ENODEV', 'Network is down': 'ENETDOWN', 'Resource temporarily unavailable': 'EAGAIN', 'Cannot assign requested address': 'EADDRNOTAVAIL',
};

export const routeGet: Reader = async (task) => {
  const words = (task.argument ?? '').split(' ').filter((word) => word !== '');
  const destination = parseInet((words[0] ?? '').replace(/\/.*$/, ''));
  if (destination === undefined || words.length > 32 || words.some((word) => word.startsWith('-') || word.includes('\0'))) return badArgument(task, 'an address, then words of ip route get');
  const request = { program: 'ip', args: [`-${destination.family}`, '-j', '-d', 'route', 'get', ...words], ...where(task) };
  const result = await task.desk.commands.run(request);
  if (isUnavailable(result)) return result;
  if (result.status === 0) return result.stdout;
  // what the kernel refuses is what was asked for; what ip itself does not understand is not
  const error = /^(?:RTNETLINK answers|Error): (.+?)\.?$/m.exec(result.stderr)?.[1] ?? /^Cannot find device .*$/m.exec(result.stderr)?.[0];
  if (error === undefined || result.status !== 2 && !error.startsWith('Cannot find')) return refusal(`running ip ${request.args.join(' ')}`, result);
  const errno = error.startsWith('Cannot find') ? 'ENODEV' : ERRNO_TEXTS[error];
  return JSON.stringify({ error, ...(errno === undefined ? undefined : { errno }) });
};

function parsed(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined; // broken JSON: the caller has another way
  }
}
