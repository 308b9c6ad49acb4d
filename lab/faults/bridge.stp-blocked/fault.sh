#!/bin/bash
# title: a bridge port is not forwarding
# story: somebody set the port to listening by hand while hunting a loop
# watch: s
# needs: bridge
setup() { bridged && daemon a serve udp 192.168.73.10 5060 && daemon b serve udp 192.168.73.20 5060 && x s bridge link set dev p-b state "${1:-1}" && settle; }
# what is to leave by the port is not sent out at all and leaves no trace; what comes in by it is dropped
traffic() { udp b 192.168.73.10 5060 $few; udp a 192.168.73.20 5060; }
works() { udp a 192.168.73.20 5060 $few; }
innocent_setup() { setup 3; }
