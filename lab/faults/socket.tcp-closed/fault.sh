#!/bin/bash
# title: the server closes idle connections that the client uses again
# story: the server's keep-alive time is shorter than the client's pool keeps connections
# watch: b
# remedy: program
setup() { pair && daemon b serve tcp 192.168.77.20 8082 --idle "${1:-250}" && settle; }
traffic() { local i; for i in 1 2 3; do tcp a 192.168.77.20 8082 --connections 1 -n 2 --gap 700 --every 0; done; }
innocent_setup() { setup 5000; }
