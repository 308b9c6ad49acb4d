#!/bin/bash
# title: a queue that no inspection program reads
# story: the intrusion detector was removed, its rule stayed
# watch: r
# needs: ip6tables
rules() { x r ip6tables -t mangle -A FORWARD -p udp --dport 6343 -j NFQUEUE --queue-num 7 $1; }
setup() { routed && daemon b serve udp fd72::2 6343 && rules "" && settle; }
traffic() { udp a fd72::2 6343; }
works() { udp a fd72::2 6343 $few; }
# the same rule with --queue-bypass: packets pass when nobody listens
innocent_setup() { routed && daemon b serve udp fd72::2 6343 && rules --queue-bypass && settle; }
