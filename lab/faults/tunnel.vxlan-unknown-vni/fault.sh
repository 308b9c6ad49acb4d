#!/bin/bash
# title: the two ends of a VXLAN have different network identifiers
# story: one side was changed to VNI 7010
# watch: b
vx() { ipn "$1" link add vx0 type vxlan id "$2" local "$3" remote "$4" dstport 8472 && addr "$1" vx0 "$5" && ipn "$1" link set vx0 up; }
setup() { pair && vx a 7010 fd77::10 fd77::20 192.168.81.1/24 && vx b "${1:-7001}" fd77::20 fd77::10 192.168.81.2/24 && daemon b serve udp 192.168.81.2 7000 && ipn a neigh replace 192.168.81.2 lladdr "$(mac b vx0)" dev vx0 && ipn b neigh replace 192.168.81.1 lladdr "$(mac a vx0)" dev vx0 && settle; }
traffic() { udp a 192.168.81.2 7000; }
works() { ipn b addr replace 192.168.81.2/24 dev vx0; ipn b link set vx0 up; sleep 0.5; ipn a neigh replace 192.168.81.2 lladdr "$(mac b vx0)" dev vx0; udp a 192.168.81.2 7000 $few; }
innocent_setup() { setup 7010; }
