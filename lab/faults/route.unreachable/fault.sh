#!/bin/bash
# title: an unreachable route left by a VPN
# story: the tunnel's clean-up replaced the route of the office by an unreachable one
# watch: r
setup() { routed && daemon b serve udp 192.168.72.2 3390 && ipn r route add unreachable "${1:-192.168.72.2/32}" && settle; }
traffic() { udp a 192.168.72.2 3390; }
works() { udp a 192.168.72.2 3390 $few; }
innocent_setup() { setup 192.168.72.3/32; }
