const NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 2: 'igmp', 6: 'tcp', 17: 'udp', 33: 'dccp', 47: 'gre', 50: 'esp', 51: 'ah', 58: 'icmp6', 132: 'sctp', 136: 'udplite' };

/** IANA protocol number as rules and people write it. */
export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? String(protocol);
}
