#!/bin/bash
# title: IPv6 is off on the interface
# story: disable_ipv6 was set on a host that others still reach over a static neighbour entry
# watch: b
setup() { pair && daemon b serve udp :: 4433 && ipn a neigh replace fd77::20 lladdr "$(mac b lan0)" dev lan0 && settle && { [ "${1:-1}" = 0 ] || sc b net.ipv6.conf.lan0.disable_ipv6=1; }; }
traffic() { udp a fd77::20 4433; }
works() { ipn b addr add fd77::20/64 dev lan0 nodad 2>/dev/null; udp a fd77::20 4433 $few; }
innocent_setup() { setup 0; }
