import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext } from 'playwright-core';

export const root = new URL('../..', import.meta.url).pathname;
const CHROMIUM = '/usr/bin/chromium';
export const skip = existsSync(CHROMIUM) ? false : 'chromium is not installed';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A fresh browser; closed by the caller. */
export async function browser(options: { readonly dark?: boolean; readonly phone?: boolean } = {}): Promise<BrowserContext & { finish(): Promise<void> }> {
  const profile = mkdtempSync(join(tmpdir(), 'whydrop-web-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM, args: FLAGS, headless: true, colorScheme: options.dark === true ? 'dark' : 'light',
    viewport: options.phone === true ? { width: 390, height: 844 } : { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'],
  });
  return Object.assign(context, {
    finish: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  });
}

export interface Served {
  readonly child: ChildProcess;
  /** The one-time link. */
  readonly link: string;
  readonly origin: string;
  readonly port: number;
  output(): string;
  /** Milliseconds that it took to end. */
  stop(): Promise<number>;
}

/** `whydrop serve` as a user starts it; ready when it has printed its link. */
export async function served(...args: readonly string[]): Promise<Served> {
  const child = spawn(`${root}whydrop`, ['serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const link = await new Promise<string>((done, fail) => {
    const take = (part: Buffer): void => {
      text += part.toString();
      const found = /open in a browser \(works once\): (\S+)/.exec(text)?.[1];
      if (found !== undefined) done(found);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('exit', (code) => fail(new Error(`serve ended with ${code}: ${text}`)));
  });
  const url = new URL(link);
  return {
    child, link, origin: url.origin, port: Number(url.port), output: () => text,
    stop: async () => {
      const started = performance.now();
      child.kill('SIGINT');
      await exited;
      return performance.now() - started;
    },
  };
}
