#!/bin/bash
# title: packets from one of the receiver's own addresses
# story: two machines were cloned, and both think they are 192.168.77.99
# watch: b
# remedy: program
setup() {
  pair && daemon b serve udp 192.168.77.20 4000 && ipn a addr add "192.168.77.${1:-99}/32" dev lo && ipn b addr add 192.168.77.99/24 dev lan0 &&
  ipn a neigh replace 192.168.77.20 lladdr "$(mac b lan0)" dev lan0 && ipn b neigh replace 192.168.77.98 lladdr "$(mac a lan0)" dev lan0 && settle
}
traffic() { udp a 192.168.77.20 4000 --from "192.168.77.${SRC:-99}"; }
innocent_setup() { setup 98; }
innocent() { SRC=98; traffic; }
