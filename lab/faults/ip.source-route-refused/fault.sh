#!/bin/bash
# title: source-routed packets are refused
# story: an old monitoring program pins its path with an IP option
# watch: b
setup() { pair && daemon b serve udp 192.168.77.20 9 && sc b net.ipv4.conf.all.accept_source_route=0 net.ipv4.conf.lan0.accept_source_route=0 && settle; }
traffic() { peer a frames lan0 source-route --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20 --via 192.168.77.20; }
works() { [ "$(x b cat /proc/sys/net/ipv4/conf/lan0/accept_source_route /proc/sys/net/ipv4/conf/all/accept_source_route | tr -d '\n')" = 11 ]; }
innocent() { peer a frames lan0 plain --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
