#!/bin/bash
# title: IPv4 headers with wrong checksums
# story: a traffic generator does not finish its headers
# watch: b
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 9 && settle; }
traffic() { peer a frames lan0 ip-checksum --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
innocent() { peer a frames lan0 plain --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
