#!/bin/bash
# title: unknown unicast is not flooded to a port that never learns
# story: flooding and learning were turned off for a quiet host; its entry in the table was lost
# watch: s
# needs: bridge
setup() {
  bridged && daemon b serve udp 192.168.73.20 1194 && ipn a neigh replace 192.168.73.20 dev lan0 lladdr "$(mac b lan0)" &&
  x s bridge link set dev p-b flood off learning off && x s bridge link set dev p-c flood off && settle && { x s bridge fdb del "$(mac b lan0)" dev p-b master 2>/dev/null; true; }
}
traffic() { udp a 192.168.73.20 1194; }
works() { udp a 192.168.73.20 1194 $few; }
innocent_setup() { setup && x s bridge fdb replace "$(mac b lan0)" dev p-b master static; }
