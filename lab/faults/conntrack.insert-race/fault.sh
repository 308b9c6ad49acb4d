#!/bin/bash
# title: two senders are translated to one tuple, and one packet loses the race
# story: SNAT keeps the source port; two local senders with the same port make their first packet at the same moment
# watch: a
# needs: nft
setup() {
  pair && ipn a addr add 192.168.77.11/24 dev lan0 && daemon b serve udp 192.168.77.20 5355 --no-read && x a nft "table ip tr { chain post { type nat hook postrouting priority srcnat; oifname \"lan0\" udp dport 5355 ip saddr ${1:-192.168.77.11} snat to 192.168.77.10; }; }" && settle
}
race() { x a nice -n -15 "$NODE" "$LAB/peer.mjs" send race 192.168.77.20 5355 --from 192.168.77.10 --also 192.168.77.11 -n "$1"; }
# a busy machine runs the two one after the other: then there is no race, and it is tried again
traffic() { local i; for i in 1 2 3 4 5; do race 1500 || return 0; done; }
works() { race 1500; }
innocent() { race 300; }
innocent_setup() { setup 192.168.77.12; }
