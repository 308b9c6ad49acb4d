#!/bin/bash
# title: the other end of the link is down
# story: the peer was shut for maintenance and nobody brought it up
# watch: a
setup() { pair && daemon b serve udp 192.168.77.20 3306 && ipn a neigh replace 192.168.77.20 lladdr "$(mac b lan0)" dev lan0 && ipn b neigh replace 192.168.77.10 lladdr "$(mac a lan0)" dev lan0 && settle && { [ "${1:-1}" = 0 ] || ipn b link set lan0 down; }; }
traffic() { udp a 192.168.77.20 3306; }
works() { udp a 192.168.77.20 3306 $few; }
innocent_setup() { setup 0; }
