#!/bin/bash
# title: a shaper's queue that holds two packets
# story: a rate limit was set with a limit in bytes that someone took for packets
# watch: a
# needs: tc
shape() { tc -n "$LAB_ID-a" qdisc add dev lan0 root tbf rate "$1" burst 3000 limit "$2"; }
setup() { pair && daemon b serve udp 192.168.77.20 5201 --no-read && shape 200kbit 3000 && settle; }
traffic() { udp a 192.168.77.20 5201 -n 150 --every 12 --size 900 --blind; }
works() { udp a 192.168.77.20 5201 -n 10 --every 60 --size 900 --blind; }
innocent_setup() { pair && daemon b serve udp 192.168.77.20 5201 --no-read && shape 20mbit 300000 && settle; }
