#!/bin/bash
# title: ping by raw socket without the capability
# story: a monitoring agent was moved to a user of its own
# watch: a
# needs: setpriv
# remedy: program
setup() { pair && settle; }
traffic() { local i; for i in 1 2 3; do x a setpriv --bounding-set -net_raw --inh-caps -net_raw "$NODE" "$LAB/peer.mjs" send ping 192.168.77.20 7 -n 3; sleep 0.3; done; }
innocent() { local i; for i in 1 2 3; do peer a send ping 192.168.77.20 7 -n 3; sleep 0.3; done; }
