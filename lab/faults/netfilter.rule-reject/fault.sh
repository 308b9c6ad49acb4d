#!/bin/bash
# title: an nft rule in the router's forward chain rejects IPv6 database traffic
# story: only the application subnet may reach the database; the batch host was renumbered
# watch: r
# needs: nft
rules() { x r nft "table ip6 edge { chain through { type filter hook forward priority 0; tcp dport 5432 ip6 saddr != $1 counter reject with icmpv6 admin-prohibited; }; }"; }
setup() { routed && daemon b serve tcp fd72::2 5432 && rules fd71:0:0:1::/64 && settle; }
traffic() { tcp a fd72::2 5432 --connections 12 -n 12 --every 150 --wait 300; }
works() { tcp a fd72::2 5432 --connections 3 -n 6 --wait 500; }
innocent_setup() { routed && daemon b serve tcp fd72::2 5432 && rules fd71::/64 && settle; }
