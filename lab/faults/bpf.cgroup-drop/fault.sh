#!/bin/bash
# title: a BPF program on a cgroup lets nothing out
# story: a service was put into a slice with an egress policy
# watch: a
CG=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/$LAB_ID
possible() { here "no cgroup v2 here" mkdir "$CG"; here "no BPF programs on cgroups" daemon - bpf cgroup-egress "$CG" --verdict 1; }
inside() { sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$CG" ip netns exec "$LAB_ID-a" "$NODE" "$LAB/peer.mjs" "$@"; }
setup() {
  pair && daemon b serve udp 192.168.77.20 4318 && mkdir "$CG" || return 1
  daemon - bpf cgroup-egress "$CG" --verdict "${1:-0}" && settle
}
traffic() { inside send udp 192.168.77.20 4318; }
works() { inside send udp 192.168.77.20 4318 $few; }
innocent_setup() { setup 1; }
restore() { sleep 0.1; rmdir "$CG"; }
