import { ipv4Text, ipv6Text } from '../base/inet.ts';

/** A line of /proc/net/raw, icmp, raw6 or icmp6: kernels without raw sock_diag have nothing else that tells of these. */
export interface ProcSocket {
  readonly local: string;
  /** The protocol of a raw socket, the echo id of a ping socket. */
  readonly localPort: number;
  readonly inode: number;
}

/**
 * Lines `sl: ADDRESS:PORT ADDRESS:PORT st … uid timeout inode …` (net/ipv4/raw.c, net/ipv4/ping.c, net/ipv6/datagram.c):
 * addresses as 32-bit words in host order, little-endian hosts, all in hexadecimal. Lines of another form are left out.
 */
export function decodeProcSockets(text: string): readonly ProcSocket[] {
  return text.split('\n').flatMap((line): readonly ProcSocket[] => {
    const columns = line.trim().split(/\s+/);
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(columns[1] ?? '');
    const inode = Number(columns[9]);
    if (match === null || !Number.isSafeInteger(inode)) return [];
    const bytes = Buffer.from(match[1] ?? '', 'hex');
    for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
    const local = bytes.length === 4 ? ipv4Text(bytes, 0) : ipv6Text(bytes, 0);
    return local === undefined ? [] : [{ local, localPort: Number.parseInt(match[2] ?? '0', 16), inode }];
  });
}
