#!/bin/bash
# title: a packet mark without the capability
# story: a proxy marks its sockets and runs as a user now
# watch: a
# needs: setpriv
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 8086 && settle; }
traffic() { local i; for i in 1 2 3; do x a setpriv --reuid 65534 --bounding-set -net_admin,-net_raw --inh-caps -all "$NODE" "$LAB/peer.mjs" send udp 192.168.77.20 8086 --mark 5 -n 3; sleep 0.2; done; }
innocent() { udp a 192.168.77.20 8086 --mark 5; }
