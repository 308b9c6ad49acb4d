#!/bin/bash
# title: the rule of an ipset that nobody remembers drops one subnet's queries
# story: a colleague blocked 192.168.77.8/29 for a scanner that lived there once; the new resolver client got an address of it
# watch: b
# needs: iptables ipset
setup() {
  pair && daemon b serve udp 192.168.77.20 5354 && x b ipset create leavers hash:net && x b ipset add leavers 192.168.77.8/29 &&
  x b iptables -A INPUT -i lo -j ACCEPT && x b iptables -A INPUT -p udp -m set --match-set leavers src -m comment --comment "scanner 2019" -j DROP && x b iptables -A INPUT -p udp --dport 5354 -j ACCEPT && settle
}
traffic() { udp a 192.168.77.20 5354; }
works() { udp a 192.168.77.20 5354 $few; }
# the same set and rule, with a neighbouring subnet in it
innocent_setup() { setup && x b ipset del leavers 192.168.77.8/29 && x b ipset add leavers 192.168.77.0/29; }
