#!/bin/bash
# title: two isolated ports of a bridge cannot talk
# story: guest ports are isolated, and the printer was plugged into one
# watch: s
# needs: bridge
setup() { bridged && daemon c serve udp fd73::30 631 && x s bridge link set dev p-a isolated on && x s bridge link set dev p-c isolated on && settle; }
traffic() { udp a fd73::30 631; }
works() { udp a fd73::30 631 $few; }
# only one end is isolated: that is allowed
innocent_setup() { bridged && daemon c serve udp fd73::30 631 && x s bridge link set dev p-a isolated on && settle; }
