#!/bin/bash
# title: a broadcast without SO_BROADCAST
# story: a wake-up tool forgets the socket option
# watch: a
# remedy: program
setup() { pair && settle; }
traffic() { udp a 192.168.77.255 9 --blind -n 10 ${B:-}; }
innocent_setup() { pair && daemon b serve udp 0.0.0.0 9 && settle; }
innocent() { B=--broadcast; traffic; }
