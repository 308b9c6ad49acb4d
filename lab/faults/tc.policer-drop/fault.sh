#!/bin/bash
# title: a policer on ingress
# story: the limit is in kilobits, somebody meant kilobytes
# watch: b
# needs: tc
possible() { tc -n "$LAB_ID-t" qdisc add dev lo clsact; here "act_police is not in this kernel" tc -n "$LAB_ID-t" filter add dev lo ingress protocol ip matchall action police rate 100kbit burst 2k conform-exceed drop; }
setup() { pair && daemon b serve udp 192.168.77.20 5684 && tc -n "$LAB_ID-b" qdisc add dev lan0 clsact && tc -n "$LAB_ID-b" filter add dev lan0 ingress protocol ip matchall action police rate "${1:-100kbit}" burst 2k conform-exceed drop && settle; }
traffic() { udp a 192.168.77.20 5684 -n 150 --every 12 --size 900; }
works() { udp a 192.168.77.20 5684 -n 20 --every 12 --size 900; }
innocent_setup() { setup 100mbit; }
