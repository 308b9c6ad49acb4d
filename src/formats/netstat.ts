/** /proc/net/netstat has the layout of /proc/net/snmp: `TcpExt ListenDrops`, `IpExt InNoRoutes`, `MPTcpExt …`. */
export { decodeSnmp as decodeNetstat } from './snmp.ts';
