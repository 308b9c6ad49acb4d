#!/bin/bash
# title: IPv4 packets that claim to be longer than they are
# story: a broken capture-and-replay box cuts packets short
# watch: b
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 9 && settle; }
traffic() { peer a frames lan0 ip-length --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
innocent() { peer a frames lan0 plain --dst "$(mac b lan0)" --from 192.168.77.10 --to 192.168.77.20; }
