#!/bin/bash
# title: an aggregate route into a black hole covers a live host
# story: the router announces 192.168.74.0/24 and keeps a blackhole for the unused part; the used part lost its route
# watch: a
setup() { pair && ipn b addr add 192.168.74.9/32 dev lo && daemon b serve udp 192.168.74.9 2055 && ipn a route add default via 192.168.77.20 && ipn a route add blackhole 192.168.74.0/24 && settle; }
traffic() { udp a 192.168.74.9 2055; }
works() { udp a 192.168.74.9 2055 $few; }
innocent_setup() { setup && ipn a route add 192.168.74.9/32 via 192.168.77.20; }
