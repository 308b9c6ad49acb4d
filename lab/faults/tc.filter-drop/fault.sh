#!/bin/bash
# title: a classifier on ingress throws one port away
# story: a tc filter from a load test was never removed
# watch: b
# needs: tc
possible() { tc -n "$LAB_ID-t" qdisc add dev lo clsact; here "act_gact or the basic classifier is not in this kernel" tc -n "$LAB_ID-t" filter add dev lo ingress protocol ip matchall action drop; }
setup() { pair && daemon b serve udp 192.168.77.20 5683 && tc -n "$LAB_ID-b" qdisc add dev lan0 clsact && tc -n "$LAB_ID-b" filter add dev lan0 ingress protocol ip pref 10 u32 match ip dport "${1:-5683}" 0xffff action drop && settle; }
traffic() { udp a 192.168.77.20 5683; }
works() { udp a 192.168.77.20 5683 $few; }
innocent_setup() { setup 5684; }
