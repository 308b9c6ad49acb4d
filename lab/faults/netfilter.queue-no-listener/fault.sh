#!/bin/bash
# title: an nft queue that no inspection program reads
# story: the intrusion detector was removed, its rule stayed
# watch: r
# needs: nft
rules() { x r nft "table ip ids { chain fwd { type filter hook forward priority 10; udp dport 6343 queue $1 to 7; }; }"; }
setup() { routed && daemon b serve udp 192.168.72.2 6343 && rules "" && settle; }
traffic() { udp a 192.168.72.2 6343; }
works() { udp a 192.168.72.2 6343 $few; }
# the same rule with `flags bypass`: packets pass when nobody listens
innocent_setup() { routed && daemon b serve udp 192.168.72.2 6343 && rules "flags bypass" && settle; }
