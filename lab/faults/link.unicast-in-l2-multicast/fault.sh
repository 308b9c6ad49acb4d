#!/bin/bash
# title: unicast packets in broadcast frames
# story: a neighbour entry with the broadcast MAC made things work once; then drop_unicast_in_l2_multicast came
# watch: b
setup() { pair && daemon b serve udp 192.168.77.20 3308 && sc b net.ipv4.conf.lan0.drop_unicast_in_l2_multicast=1 && ipn a neigh replace 192.168.77.20 lladdr "${1:-ff:ff:ff:ff:ff:ff}" dev lan0 nud permanent && settle; }
traffic() { udp a 192.168.77.20 3308; }
works() { udp a 192.168.77.20 3308 $few; }
innocent_setup() { pair && daemon b serve udp 192.168.77.20 3308 && sc b net.ipv4.conf.lan0.drop_unicast_in_l2_multicast=1 && ipn a neigh replace 192.168.77.20 lladdr "$(mac b lan0)" dev lan0 nud permanent && settle; }
