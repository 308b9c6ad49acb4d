#!/bin/bash
# title: a BPF netfilter program refuses all input
# story: a security agent loaded a verdict program of its own
# watch: b
possible() { here "no BPF netfilter links on this kernel" trybpf; }
trybpf() { daemon t bpf netfilter-input - --verdict 1; }
setup() { pair && daemon b serve udp 192.168.77.20 7007 && udp a 192.168.77.20 7007 -n 2 >/dev/null && daemon b bpf netfilter-input - --verdict "${1:-0}" && settle; }
traffic() { udp a 192.168.77.20 7007; }
works() { udp a 192.168.77.20 7007 $few; }
innocent_setup() { setup 1; }
