#!/bin/bash
# title: SNAT to a range of five ports runs out
# story: an office behind one address and a port range that was meant for one host
# watch: r
# needs: nft
rules() { x r nft "table ip office { chain post { type nat hook postrouting priority srcnat; oifname right udp dport 3478 snat to 192.168.72.1:$1; }; }"; }
setup() { routed && daemon b serve udp 192.168.72.2 3478 && rules 41000-41004 && settle; }
traffic() { local i; for i in $(seq 6); do udp a 192.168.72.2 3478 -n 4 --every 30 & udp a 192.168.72.2 3478 -n 4 --every 30; wait; done; }
works() { udp a 192.168.72.2 3478 $few; }
innocent_setup() { routed && daemon b serve udp 192.168.72.2 3478 && rules 41000-41999 && settle; }
