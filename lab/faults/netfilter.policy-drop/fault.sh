#!/bin/bash
# title: an nft input chain whose policy is drop does not know the new port
# story: metrics moved from 9100 to 9164 and the firewall was not told
# watch: b
# needs: nft
rules() { x b nft "table inet host { chain in { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; meta l4proto { icmp, ipv6-icmp } accept; udp dport { 161, $1 } accept; }; }"; }
setup() { pair && daemon b serve udp fd77::20 9164 && rules 9100 && settle; }
traffic() { udp a fd77::20 9164; }
works() { udp a fd77::20 9164 $few; }
innocent_setup() { pair && daemon b serve udp fd77::20 9164 && rules 9164 && settle; }
