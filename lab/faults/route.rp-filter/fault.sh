#!/bin/bash
# title: strict reverse-path filtering on a host with two links
# story: a second link was added for backups; the client's source lies behind the first one by the routing table
# watch: b
setup() {
  netns a b && wire a lan0 b lan0 && wire a lan1 b lan1 && addr a lan0 192.168.77.10/24 && addr b lan0 192.168.77.20/24 && addr a lan1 192.168.78.10/24 && addr b lan1 192.168.78.20/24 &&
  daemon b serve udp 192.168.78.20 873 && ipn b route add 192.168.79.10/32 via 192.168.77.10 && ipn a addr add 192.168.79.10/32 dev lo && sc b net.ipv4.conf.all.rp_filter=0 "net.ipv4.conf.lan1.rp_filter=${1:-1}" &&
  ipn a neigh replace 192.168.78.20 lladdr "$(mac b lan1)" dev lan1 && settle # an ARP request from such a source is refused too, without a trace
}
traffic() { udp a 192.168.78.20 873 --from 192.168.79.10; }
works() { udp a 192.168.78.20 873 --from 192.168.79.10 $few; }
# loose mode: a route to the source over any interface is enough
innocent_setup() { setup 2; }
