#!/bin/bash
# title: a router without a route to the new subnet
# story: the branch office got a second subnet, the default route of the router went with the old uplink
# watch: r
setup() { routed && daemon b serve udp fd72::2 5683 && ipn b addr add fd79::2/128 dev lo && daemon b serve udp fd79::2 5683 && settle; }
traffic() { udp a fd79::2 5683; }
works() { udp a fd79::2 5683 $few; }
# remedy: none by command: only its owner knows the next hop
# remedy: program
innocent_setup() { setup && ipn r -6 route add fd79::2/128 via fd72::2; }
