#!/bin/bash
# title: pings are ignored by a setting
# story: a hardening guide was followed, and the load balancer takes the host for dead
# watch: b
setup() { pair && sc b net.ipv4.icmp_echo_ignore_all="${1:-1}" && settle; }
traffic() { peer a send ping 192.168.77.20 7 -n 14 --every 150; }
works() { peer a send ping 192.168.77.20 7 $few; }
innocent_setup() { setup 0; }
