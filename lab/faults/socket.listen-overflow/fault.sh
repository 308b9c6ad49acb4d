#!/bin/bash
# title: a server that does not accept
# story: the worker hangs, its accept queue of two is full
# watch: b
# remedy: program
setup() { pair && daemon b serve tcp fd77::20 8081 --backlog 2 --no-accept && settle; }
traffic() { local i; for i in 1 2 3 4 5 6 7 8 9; do tcp a fd77::20 8081 --connections 1 -n 1 --wait 2200 & done; wait; }
innocent_setup() { pair && daemon b serve tcp fd77::20 8081 --backlog 64 && settle; }
