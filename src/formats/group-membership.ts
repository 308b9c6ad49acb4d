/** Groups that interfaces have joined: /proc/net/igmp and /proc/net/igmp6 (net/ipv4/igmp.c, net/ipv6/mcast.c, Linux 6.18). */
export interface GroupMembership {
  readonly device: string;
  readonly group: string;
}

/** Lines `2 eth0 : 1 V3`, and below each of its groups, indented: the address as the little-endian number that it is in memory, in hex. */
export function decodeIgmp(text: string): readonly GroupMembership[] {
  const list: GroupMembership[] = [];
  let device: string | undefined;
  for (const line of text.split('\n')) {
    const head = /^\d+\s+(\S+)\s*:/.exec(line);
    if (head !== null) {
      device = head[1];
      continue;
    }
    const group = /^\s+([0-9A-Fa-f]{8})\s/.exec(line)?.[1];
    if (group === undefined || device === undefined) continue;
    const n = Number.parseInt(group, 16);
    list.push({ device, group: [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24].join('.') });
  }
  return list;
}
