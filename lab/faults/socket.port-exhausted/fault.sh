#!/bin/bash
# title: all ephemeral ports to one server are in use
# story: a range of eight local ports, and a pool of twelve connections
# watch: a
setup() { pair && daemon b serve tcp 192.168.77.20 8085 && sc a "net.ipv4.ip_local_port_range=${1:-42000 42007}" && settle; }
traffic() { local i; for i in $(seq 14); do tcp a 192.168.77.20 8085 --connections 1 -n 2 --gap 1500 --every 0 & done; wait; }
works() { tcp a 192.168.77.20 8085 --connections 12 -n 12 --every 5; }
innocent_setup() { setup "42000 42999"; }
