#!/bin/bash
# title: a router that does not forward IPv6
# story: IPv4 forwarding was turned on, IPv6 forgotten
# watch: r
setup() { routed && daemon b serve udp fd72::2 546 && sc r "net.ipv6.conf.all.forwarding=${1:-0}" && settle 0.5; }
traffic() { udp a fd72::2 546; }
works() { udp a fd72::2 546 $few; }
innocent_setup() { setup 1; }
