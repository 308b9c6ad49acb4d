#!/bin/bash
# title: a next hop that does not exist
# story: a route points at the old router's address
# watch: a
# remedy: program
setup() { pair && ipn b addr add fd7c::1/128 dev lo && daemon b serve udp fd7c::1 1514 && ipn a -6 route add fd7c::/64 via "${1:-fd77::2f}" && settle; }
traffic() { udp a fd7c::1 1514 -n 60 --every 60; }
innocent_setup() { setup fd77::20; }
