#!/bin/bash
# title: a locked bridge port refuses a station that is not in its table
# story: 802.1X locks the port until somebody signs in
# watch: s
# needs: bridge
possible() { ipn t link add brt type bridge; ipn t link add v0 type veth peer name v1; ipn t link set v0 master brt; here "bridge ports cannot be locked" x t bridge link set dev v0 locked on learning off; }
setup() { bridged && daemon b serve udp 192.168.73.20 1812 && x s bridge link set dev p-a locked on learning off && x s bridge fdb del "$(mac a lan0)" dev p-a master 2>/dev/null; settle; }
traffic() { udp a 192.168.73.20 1812; }
works() { udp a 192.168.73.20 1812 $few; }
innocent_setup() { bridged && daemon b serve udp 192.168.73.20 1812 && x s bridge link set dev p-a locked on learning off && x s bridge fdb replace "$(mac a lan0)" dev p-a master static && settle; }
