#!/bin/bash
# title: a burst for a neighbour that is not resolved yet
# story: unres_qlen_bytes was cut down; the first answer of a cold host is lost in the queue
# watch: a
setup() { pair && daemon b serve udp 192.168.77.20 1515 && sc b net.ipv4.conf.all.arp_ignore=8 net.ipv4.conf.lan0.arp_ignore=8 && sc a net.ipv4.neigh.lan0.unres_qlen_bytes=2304 && settle; }
traffic() { udp a 192.168.77.20 1515 -n 200 --every 0 --size 900; sleep 0.4; }
works() { true; }
# remedy: program
innocent_setup() { pair && daemon b serve udp 192.168.77.20 1515 && settle; }
innocent() { udp a 192.168.77.20 1515 -n 5 --every 0 --size 900; udp a 192.168.77.20 1515 -n 20; }
