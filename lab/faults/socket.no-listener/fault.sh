#!/bin/bash
# title: the server listens on loopback only
# story: a new default made the service bind 127.0.0.1
# watch: b
# remedy: program
setup() { pair && daemon b serve udp "${1:-127.0.0.1}" 6514 && settle; }
traffic() { udp a 192.168.77.20 6514; }
innocent_setup() { setup 192.168.77.20; }
