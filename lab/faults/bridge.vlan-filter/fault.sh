#!/bin/bash
# title: a bridge port has no membership in the VLAN of its frames
# story: the port was put into VLAN 20 and its neighbour left in VLAN 1
# watch: s
# needs: bridge
possible() { here "bridge VLAN filtering is not in this kernel" ipn t link add brt type bridge vlan_filtering 1; }
setup() { bridged && daemon b serve udp 192.168.73.20 5061 && ipn s link set lan type bridge vlan_filtering 1 && x s bridge vlan del dev p-a vid 1 && settle; }
traffic() { udp a 192.168.73.20 5061; }
works() { udp a 192.168.73.20 5061 $few; }
innocent_setup() { bridged && daemon b serve udp 192.168.73.20 5061 && ipn s link set lan type bridge vlan_filtering 1 && settle; }
