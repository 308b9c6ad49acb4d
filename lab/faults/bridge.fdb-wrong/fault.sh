#!/bin/bash
# title: a static entry of the bridge points a station at the wrong port
# story: the host was re-plugged; the sticky entry of its MAC stayed on its old port
# watch: s
# needs: bridge
setup() { bridged && daemon b serve udp 192.168.73.20 8125 && ipn a neigh replace 192.168.73.20 dev lan0 lladdr "$(mac b lan0)" && x s bridge fdb replace "$(mac b lan0)" dev "${1:-p-a}" master static sticky && settle; }
traffic() { udp a 192.168.73.20 8125; }
works() { udp a 192.168.73.20 8125 $few; }
innocent_setup() { setup p-b; }
