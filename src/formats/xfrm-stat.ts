/** /proc/net/xfrm_stat has the layout of /proc/net/snmp6. It is absent without CONFIG_XFRM_STATISTICS. */
export { decodeSnmp6 as decodeXfrmStat } from './snmp6.ts';
