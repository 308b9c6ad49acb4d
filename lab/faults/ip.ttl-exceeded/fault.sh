#!/bin/bash
# title: a program sends with a time to live of 1
# story: a discovery protocol made for one link is used across a router
# watch: r
# remedy: program
setup() { routed && daemon b serve udp 192.168.72.2 1900 && settle; }
traffic() { udp a 192.168.72.2 1900 --ttl 1; }
innocent() { udp a 192.168.72.2 1900 --ttl 2; }
