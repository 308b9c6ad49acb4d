#!/bin/bash
# title: an IPsec policy blocks what comes in over IPv6
# story: the tunnel was removed, its block policy for clear text stayed
# watch: b
setup() { pair && daemon b serve udp fd77::20 5246 && ipn b xfrm policy add dir in src fd77::10/128 dst "${1:-fd77::20/128}" proto udp action block && settle; }
traffic() { udp a fd77::20 5246; }
works() { udp a fd77::20 5246 $few; }
innocent_setup() { setup fd77::21/128; }
