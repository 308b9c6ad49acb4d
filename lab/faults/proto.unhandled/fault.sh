#!/bin/bash
# title: packets of an IP protocol that nobody handles
# story: the other end speaks OSPF, here no routing daemon runs
# watch: b
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 9 && settle; }
traffic() { peer a frames lan0 plain --protocol 89 --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
innocent() { peer a frames lan0 plain --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
