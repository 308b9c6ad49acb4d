/**
 * A trace.dat by trace-cmd itself: a flood of refused sends on Debian's 6.12, skb:kfree_skb with kernel stacks. Recorded in
 * a virtual machine (the live kernel may allow no such recording), kept beside the kernels of the kernel tests.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { boot, cache, kernel } from '../test/kernels/kernels.ts';

const SENDS = 300_000;
const LIBRARIES = /(\/\S+\/lib(?:traceevent|tracefs|zstd)\S+)/g;

/** Its path, or why there is none. */
export async function traceDat(): Promise<{ readonly path: string } | { readonly why: string }> {
  const path = join(cache, `flood-6.12-${SENDS}.dat`);
  if (existsSync(path)) return { path };
  const { stdout, status } = spawnSync('ldd', ['/usr/bin/trace-cmd'], { encoding: 'utf8' });
  if (status !== 0) return { why: 'trace-cmd is not installed' };
  const found = kernel('6.12');
  if ('why' in found) return found;
  const guest = await boot(found.folder, `
    iptables -A OUTPUT -p udp --dport 9000 -j DROP
    LD_LIBRARY_PATH=. ./trace-cmd record -b 65536 -e skb:kfree_skb -T -o /tmp/flood.dat python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${SENDS}):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except OSError: pass" && cp /tmp/flood.dat /out/`, { seconds: 400, programs: ['/usr/bin/trace-cmd', ...[...stdout.matchAll(LIBRARIES)].map((m) => m[1]!)] });
  try {
    if (!existsSync(join(guest.out, 'flood.dat'))) return { why: `the guest recorded nothing: ${guest.text.trim().split('\n').at(-1) ?? ''}` };
    copyFileSync(join(guest.out, 'flood.dat'), path);
    return { path };
  } finally {
    guest.remove();
  }
}
