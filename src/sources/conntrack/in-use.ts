import { existsSync } from 'node:fs';

/**
 * Whether nf_conntrack is in the kernel. Asking nfnetlink while it is not would load modules, which whydrop never
 * does. Listening and listing do not make the kernel track connections: only rules register those hooks.
 */
export function conntrackLoaded(): boolean {
  return existsSync('/proc/sys/net/netfilter/nf_conntrack_max');
}
