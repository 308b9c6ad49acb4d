/** The drop probe alone, drained: what it costs without failed calls and the rest of watch. */
import { statSync } from 'node:fs';
import { netnsInode } from '../src/base/brand.ts';
import { isUnavailable } from '../src/model/unavailable.ts';
import { armDrops } from '../src/sources/bpf/index.ts';

const probe = armDrops({ netns: [netnsInode(statSync(`/run/netns/${process.argv[2]}`).ino)], self: process.pid });
if (isUnavailable(probe)) throw new Error(`${probe.what}: ${probe.why}`);
console.log('armed');
const timer = setInterval(() => probe.drain(() => {}), 25);
process.once('SIGINT', () => {
  clearInterval(timer);
  probe.close();
});
