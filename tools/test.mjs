// npm test: all tests, whatever Node called us.
import { root, runPinned } from './node.mjs';

runPinned(`${root}/tools/test.ts`, process.argv.slice(2));
