#!/bin/bash
# title: a server attached a socket filter that takes nothing
# story: a DHCP-like daemon filters in the kernel, and its filter is wrong
# watch: b
# remedy: program
setup() { pair && daemon b serve udp fd77::20 6767 ${1---filter} && settle; }
traffic() { udp a fd77::20 6767; }
innocent_setup() { setup ""; }
