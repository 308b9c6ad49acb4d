#!/bin/bash
# title: the program behind a tun device is stopped
# story: a VPN client hangs; its queue of 20 packets is full
# watch: a
# remedy: program
setup() { netns a && daemon a tun vpn0 ${1---stop} && addr a vpn0 192.168.80.1/24 && ipn a link set vpn0 txqueuelen 20 up && settle; }
traffic() { udp a 192.168.80.9 7000 -n 100 --every 20; }
innocent_setup() { setup ""; }
