#!/bin/bash
# title: fragments may hold almost no memory
# story: a hardening guide set ipfrag_high_thresh to a value that one packet fills
# watch: b
setup() { pair && daemon b serve udp 192.168.77.20 20048 && sc b net.ipv4.ipfrag_low_thresh=400 "net.ipv4.ipfrag_high_thresh=${1:-500}" && settle; }
traffic() { udp a 192.168.77.20 20048 --size 9000; }
works() { udp a 192.168.77.20 20048 --size 9000 $few; }
innocent_setup() { setup 1048576; }
