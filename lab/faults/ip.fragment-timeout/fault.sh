#!/bin/bash
# title: only first fragments arrive
# story: a load balancer hashes fragments by ports, and the later ones have none
# watch: b
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 9 && sc b net.ipv4.ipfrag_time=1 && settle; }
traffic() { peer a frames lan0 first-fragment --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20 -n 20; sleep 1.3; }
innocent() { udp a 192.168.77.20 9 -n 20 --size 4000; }
