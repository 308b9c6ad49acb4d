#!/bin/bash
# title: TTL security on one side only
# story: the IPv6 peer asks for hop limit 255, the other end sends 64
# watch: b
# remedy: program
setup() { pair && daemon b serve tcp fd77::20 1180 --minttl 255 && settle; }
traffic() { tcp a fd77::20 1180 --connections 3 -n 3 --wait 900 ${TTL:-}; }
innocent() { TTL="--ttl 255"; traffic; }
