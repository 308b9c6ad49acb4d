#!/bin/bash
# title: IPv6 datagrams with wrong UDP checksums
# story: a NAT64 box rewrites addresses and forgets the checksum
# watch: b
# remedy: program
setup() { pair && daemon b serve udp fd77::20 9 && settle; }
traffic() { peer a frames lan0 udp-checksum --dst "$(mac b lan0)" --from fd77::10 --to fd77::20; }
innocent() { peer a frames lan0 plain --dst "$(mac b lan0)" --from fd77::10 --to fd77::20; }
