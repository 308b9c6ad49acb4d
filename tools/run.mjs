// node tools/run.mjs SCRIPT.ts [ARG ...]: a script of ours under the pinned Node.
import { root, runPinned } from './node.mjs';

const [script, ...args] = process.argv.slice(2);
runPinned(`${root}/${script}`, args);
