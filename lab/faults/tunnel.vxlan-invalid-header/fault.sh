#!/bin/bash
# title: group policy on one end of a VXLAN
# story: the sender marks its packets with a group, the receiver was made without gbp
# watch: b
# needs: nft
vx() { ipn "$1" link add vx0 type vxlan id 7020 local "$2" remote "$3" dstport 8473 $5 && addr "$1" vx0 "$4" && ipn "$1" link set vx0 up; }
setup() { pair && vx a 192.168.77.10 192.168.77.20 fd82::1/64 gbp && vx b 192.168.77.20 192.168.77.10 fd82::2/64 "${1:-}" && daemon b serve udp fd82::2 7000 && x a nft 'table inet grp { chain out { type route hook output priority mangle; oifname "vx0" meta mark set 9; }; }' && settle 0.6; }
traffic() { udp a fd82::2 7000; }
works() { ipn b addr replace fd82::2/64 dev vx0 nodad; ipn b link set vx0 up; sleep 0.5; udp a fd82::2 7000 $few; }
innocent_setup() { setup gbp; }
