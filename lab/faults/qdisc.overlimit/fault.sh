#!/bin/bash
# title: a packet queue of three behind a slow class
# story: the bulk class has a pfifo of three packets
# watch: a
# needs: tc
shape() { tc -n "$LAB_ID-a" qdisc add dev lan0 root handle 1: tbf rate 300kbit burst 3000 limit 200000 && tc -n "$LAB_ID-a" qdisc add dev lan0 parent 1:1 handle 10: pfifo limit "$1"; }
setup() { pair && daemon b serve udp fd77::20 5202 --no-read && shape 3 && settle; }
traffic() { udp a fd77::20 5202 -n 150 --every 12 --size 900 --blind; }
works() { udp a fd77::20 5202 -n 10 --every 60 --size 900 --blind; }
innocent_setup() { pair && daemon b serve udp fd77::20 5202 --no-read && shape 2000 && settle; }
