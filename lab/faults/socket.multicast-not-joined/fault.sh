#!/bin/bash
# title: the group was joined on another interface
# story: a second network card came, and the receiver of the market data joins there now
# watch: b
# remedy: program
setup() {
  pair && netns c && wire b lan1 c lan0 && addr b lan1 192.168.78.20/24 && ipn a route add 239.77.0.0/16 dev lan0 &&
  daemon b serve udp 0.0.0.0 6514 --join "239.77.1.1/${1:-192.168.78.20}" && settle
}
traffic() { udp a 239.77.1.1 6514 --blind -n 20 --every 100; }
innocent_setup() { setup 192.168.77.20; }
