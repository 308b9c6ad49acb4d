#!/bin/bash
# title: packets for 127.0.0.1 that come in from the wire
# story: a redirect sends the outside world to a service on loopback, and route_localnet is off
# watch: b
# needs: nft
setup() { pair && daemon b serve udp 127.0.0.1 8053 && x b nft 'table ip pub { chain pre { type nat hook prerouting priority dstnat; udp dport 53 dnat to 127.0.0.1:8053; }; }' && sc b "net.ipv4.conf.lan0.route_localnet=${1:-0}" && settle; }
traffic() { udp a 192.168.77.20 53; }
works() { udp a 192.168.77.20 53 $few; }
innocent_setup() { setup 1; }
