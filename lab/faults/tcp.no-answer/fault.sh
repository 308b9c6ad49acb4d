#!/bin/bash
# title: the firewall of the other host drops what it does not know, without a word
# story: the service moved to port 8443, and the other team's firewall still has the old list
# watch: a
# needs: iptables
# remedy: program
setup() { pair && daemon b serve tcp 192.168.77.20 8443 && x b iptables -A INPUT -p tcp --dport "${1:-8443}" -j DROP && settle; }
traffic() { tcp a 192.168.77.20 8443 --connections 2 --wait 1500; }
# the list has another port
innocent_setup() { setup 8080; }
