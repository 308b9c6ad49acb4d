#!/bin/bash
# title: a second program wants the same port
# story: the old instance was not stopped before the new one was started
# watch: b
# remedy: program
setup() { pair && daemon b serve udp 192.168.77.20 8088 && settle; }
traffic() { local i; for i in 1 2 3 4; do peer b send udp 192.168.77.10 1 --from 192.168.77.20 --sport "${P:-8088}" -n 1 --blind; sleep 0.2; done; }
innocent_setup() { setup && daemon a serve udp 192.168.77.10 1; }
innocent() { P=8090; traffic; }
