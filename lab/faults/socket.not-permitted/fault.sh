#!/bin/bash
# title: a program changes a socket filter that it has locked
# story: a DHCP client locks its filter before it has put the right one in place
# watch: a
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 8086 && settle; }
traffic() { local i; for i in 1 2 3; do udp a 192.168.77.20 8086 --locked -n 3; sleep 0.2; done; }
innocent() { udp a 192.168.77.20 8086; }
