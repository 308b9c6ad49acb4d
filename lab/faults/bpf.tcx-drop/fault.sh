#!/bin/bash
# title: a BPF program on a tcx link drops what comes in
# story: a network plug-in left its program behind; tc filter show does not list it
# watch: b
possible() { trial; here "no tcx links on this kernel" daemon t bpf tcx-ingress lo --verdict 0; }
setup() { pair && daemon b serve udp 192.168.77.20 4789 && udp a 192.168.77.20 4789 -n 2 > /dev/null && ipn a neigh replace 192.168.77.20 dev lan0 lladdr "$(mac b lan0)" && daemon b bpf tcx-ingress lan0 --verdict "${1:-2}" && settle; }
traffic() { udp a 192.168.77.20 4789; }
works() { udp a 192.168.77.20 4789 $few; }
innocent_setup() { setup 0; }
