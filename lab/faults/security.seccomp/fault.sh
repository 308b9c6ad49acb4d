#!/bin/bash
# title: a seccomp filter answers EPERM to sendto
# story: a sandbox profile allows sendmsg and forgot sendto
# watch: a
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 4444 && settle; }
traffic() { x a "$NODE" "$LAB/peer.mjs" seccomp 1 "$NODE" "$LAB/peer.mjs" send udp 192.168.77.20 4444; }
innocent() { udp a 192.168.77.20 4444; }
