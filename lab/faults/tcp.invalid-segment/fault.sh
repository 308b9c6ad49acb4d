#!/bin/bash
# title: a middlebox sets TCP timestamps back
# story: a proxy rewrites the timestamp option; the receiver takes the segments for old ones
# watch: b
# needs: nft
setup() { pair && daemon b serve tcp fd77::20 8084 && sc a net.ipv4.tcp_timestamps=2 && x b nft "table ip6 box { chain pre { type filter hook prerouting priority raw; tcp dport ${1:-8084} tcp flags & psh == psh tcp option timestamp tsval set 1; }; }" && settle; }
traffic() { local i; for i in 1 2 3; do tcp a fd77::20 8084 --connections 1 -n 4 --wait 700; done; }
works() { tcp a fd77::20 8084 --connections 1 -n 4 --wait 700; }
innocent_setup() { setup 8085; }
