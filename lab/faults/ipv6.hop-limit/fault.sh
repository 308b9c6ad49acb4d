#!/bin/bash
# title: a routing loop eats the hop limit
# story: the two routers point their default routes at each other; the host's prefix was withdrawn
# watch: b
# remedy: program
setup() { routed && ipn r -6 route add "fd7a::/64" via "${1:-fd72::2}" && sc b net.ipv6.conf.all.forwarding=1 && daemon b serve udp fd72::2 33434 && ipn b -6 addr add fd7b::1/128 dev lo && daemon b serve udp fd7b::1 33434 && ipn r -6 route add fd7b::1/128 via fd72::2 && settle 0.5; }
traffic() { udp a fd7a::1 33434 -n 20; }
innocent() { udp a fd7b::1 33434 -n 20; }
