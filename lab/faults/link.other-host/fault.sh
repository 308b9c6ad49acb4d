#!/bin/bash
# title: a static neighbour entry with another machine's MAC
# story: the server's card was replaced, the entry on the client kept the old address
# watch: b
setup() { pair && daemon b serve udp fd77::20 3307 && ipn b link set lan0 promisc on && ipn a neigh replace fd77::20 lladdr "${1:-02:00:5e:10:00:07}" dev lan0 nud permanent && settle; }
traffic() { udp a fd77::20 3307; }
works() { udp a fd77::20 3307 $few; }
innocent_setup() { pair && daemon b serve udp fd77::20 3307 && ipn b link set lan0 promisc on && ipn a neigh replace fd77::20 lladdr "$(mac b lan0)" dev lan0 nud permanent && settle; }
