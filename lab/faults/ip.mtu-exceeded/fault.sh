#!/bin/bash
# title: a link with a small MTU behind the router, and DF set
# story: the uplink became a tunnel of 1280 bytes; the collector's program forbids fragments
# watch: r
setup() { routed && daemon b serve udp 192.168.72.2 6831 && ipn r link set right mtu 1280 && ipn b link set lan0 mtu 1280 && settle; }
traffic() { udp a 192.168.72.2 6831 --size 1400 --df; }
works() { udp a 192.168.72.2 6831 --size 1400 --df $few; }
innocent() { udp a 192.168.72.2 6831 --size 1200 --df; }
