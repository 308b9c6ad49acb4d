#!/bin/bash
# title: two isolated ports of a bridge cannot talk
# story: guest ports are isolated, and the printer was plugged into one
# watch: s
# needs: bridge
# both know each other's address: where they do not, neighbour discovery is what is lost, and the bridge says nothing of it
setup() {
  bridged && daemon c serve udp fd73::30 631 && ipn a neigh replace fd73::30 lladdr "$(mac c lan0)" dev lan0 && ipn c neigh replace fd73::10 lladdr "$(mac a lan0)" dev lan0 &&
  udp a fd73::30 631 -n 3 >/dev/null && x s bridge link set dev p-a isolated on && x s bridge link set dev p-c isolated "${1:-on}" && settle
}
traffic() { udp a fd73::30 631; }
works() { udp a fd73::30 631 $few; }
# only one end is isolated: that is allowed
innocent_setup() { setup off; }
