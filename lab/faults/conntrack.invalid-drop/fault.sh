#!/bin/bash
# title: replies that take another way are INVALID, and a rule drops what is INVALID
# story: conntrack was flushed while a connection was open, and loose pick-up is off
# watch: b
# needs: iptables conntrack
setup() { pair && daemon b serve tcp fd77::20 8883 && x b ip6tables -A INPUT -m conntrack --ctstate INVALID -j DROP && x b ip6tables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT && sc b net.netfilter.nf_conntrack_tcp_loose=0 && settle; }
traffic() {
  local open=$LAB_DIR/open i
  tcp a fd77::20 8883 --connections 1 -n 3 --gap 1200 --wait 1500 --ready "$open" &
  for i in $(seq 100); do [ -e "$open" ] && break; sleep 0.05; done
  x b conntrack -F 2>/dev/null; wait
}
works() { tcp a fd77::20 8883 --connections 1 -n 3 --gap 100 --wait 800; }
# the same rules and connection, nobody flushes
innocent() { tcp a fd77::20 8883 --connections 1 -n 3 --gap 1200; }
