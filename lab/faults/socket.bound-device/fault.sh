#!/bin/bash
# title: a program bound to the wrong interface
# story: the interface option still says lo from a test
# watch: a
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 8087 && settle; }
traffic() { udp a 192.168.77.20 8087 --dev "${D:-lo}"; }
innocent() { D=lan0; traffic; }
