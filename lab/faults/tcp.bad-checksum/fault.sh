#!/bin/bash
# title: TCP segments with wrong checksums
# story: a virtual switch leaves out the checksum that its card should have made
# watch: b
# remedy: program
setup() { pair && daemon b serve tcp 192.168.77.20 9 && settle; }
traffic() { peer a frames lan0 tcp-checksum --protocol 6 --dst "$(mac b lan0)" --from 192.168.77.11 --to 192.168.77.20; }
innocent() { ipn b neigh replace 192.168.77.11 lladdr "$(mac a lan0)" dev lan0; tcp a 192.168.77.20 9 --connections 10 -n 10; }
