#!/bin/bash
# title: a datagram larger than UDP can carry
# story: a logger sends its whole buffer in one datagram
# watch: a
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 8091 && settle; }
traffic() { udp a 192.168.77.20 8091 --size 66000 -n 10; }
innocent() { udp a 192.168.77.20 8091 --size 1200 -n 10; }
