#!/bin/bash
# title: an IPsec policy whose keys were never negotiated
# story: the key daemon is down; the policy asks for ESP all the same
# watch: a
possible() { here "no IPsec policies in this kernel" ipn t xfrm policy add dir out src 192.0.2.1/32 dst 192.0.2.2/32 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel; }
setup() { pair && daemon b serve udp 192.168.77.20 5247 && sc a net.core.xfrm_larval_drop=1 && ipn a xfrm policy add dir out src 192.168.77.10/32 dst "${1:-192.168.77.20/32}" proto udp tmpl src 192.168.77.10 dst 192.168.77.20 proto esp mode tunnel && settle; }
traffic() { udp a 192.168.77.20 5247; }
works() { udp a 192.168.77.20 5247 $few; }
# the policy says that keys are optional
innocent_setup() { setup 192.168.77.21/32; }
