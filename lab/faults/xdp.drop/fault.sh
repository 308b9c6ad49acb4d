#!/bin/bash
# title: an XDP program drops every frame
# story: a mitigation of last year's attack is still on the interface
# watch: b
possible() { here "no XDP links on veth" daemon t bpf xdp lo --verdict 2; }
setup() { pair && daemon b serve udp fd77::20 27015 && udp a fd77::20 27015 -n 2 >/dev/null && ipn a neigh replace fd77::20 dev lan0 lladdr "$(mac b lan0)" && daemon b bpf xdp lan0 --verdict "${1:-1}" && settle; }
traffic() { udp a fd77::20 27015; }
works() { udp a fd77::20 27015 $few; }
innocent_setup() { setup 2; }
