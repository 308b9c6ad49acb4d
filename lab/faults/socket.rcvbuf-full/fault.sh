#!/bin/bash
# title: a program that reads too slowly for its buffer
# story: the collector writes to disk between two reads
# watch: b
# remedy: program
setup() { pair && daemon b serve udp fd77::20 8089 --rcvbuf 2304 --pause 120 && settle; }
traffic() { udp a fd77::20 8089 -n 150 --every 12 --size 700; }
innocent_setup() { pair && daemon b serve udp fd77::20 8089 --pause 5 && settle; }
