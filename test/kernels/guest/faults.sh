# Faults of the kernel tests, each in namespaces of its own: <fault>-a (10.0.0.1) sends to <fault>-b (10.0.0.2) over a veth
# pair, or through a router <fault>-r (10.0.0.2, 10.0.1.1) to <fault>-b (10.0.1.2). guest/traffic.py has the senders.
pair() { # FAULT
  ip netns add "$1-a"; ip netns add "$1-b"
  ip link add eth0 netns "$1-a" type veth peer name eth0 netns "$1-b"
  ip -n "$1-a" address add 10.0.0.1/24 dev eth0; ip -n "$1-b" address add 10.0.0.2/24 dev eth0
  local n; for n in a b; do ip -n "$1-$n" link set eth0 up; ip -n "$1-$n" link set lo up; done
}
routed() { # FAULT
  local n; for n in a r b; do ip netns add "$1-$n"; ip -n "$1-$n" link set lo up; done
  ip link add eth0 netns "$1-a" type veth peer name eth0 netns "$1-r"; ip link add eth1 netns "$1-r" type veth peer name eth0 netns "$1-b"
  ip -n "$1-a" address add 10.0.0.1/24 dev eth0; ip -n "$1-r" address add 10.0.0.2/24 dev eth0
  ip -n "$1-r" address add 10.0.1.1/24 dev eth1; ip -n "$1-b" address add 10.0.1.2/24 dev eth0
  for n in a r b; do ip -n "$1-$n" link set eth0 up; done; ip -n "$1-r" link set eth1 up
  ip -n "$1-a" route add default via 10.0.0.2; ip -n "$1-b" route add default via 10.0.1.1
  within "$1-r" sysctl -qw net.ipv4.ip_forward=1
}
within() { local n=$1; shift; ip netns exec "$n" "$@"; }

faults() {
  pair rule; within rule-a iptables-nft -A OUTPUT -p tcp --dport 9000 -j ACCEPT
  within rule-a iptables-nft -A OUTPUT -m conntrack --ctstate NEW -p udp --dport 9000 -j DROP
  pair legacy; within legacy-a iptables-legacy -A OUTPUT -p udp --dport 9000 -j DROP
  pair set; within set-b nft 'table ip f { set bad { type ipv4_addr; elements = { 10.0.0.1, 198.51.100.7 }; }; chain in { type filter hook input priority 0; ip saddr @bad drop; }; }'
  pair policy; within policy-b nft 'table inet f { chain in { type filter hook input priority 0; policy drop; tcp dport 22 accept; meta l4proto icmp accept; }; }'
  pair nobody
  pair rcvbuf
  pair noroute
  routed blackhole; ip -n blackhole-r route add blackhole 203.0.113.0/24
  pair rpfilter; within rpfilter-a sysctl -qw net.ipv4.conf.all.arp_announce=2; ip -n rpfilter-a address add 10.9.9.9/32 dev lo; within rpfilter-b sysctl -qw net.ipv4.conf.all.rp_filter=1
  routed nofwd; within nofwd-r sysctl -qw net.ipv4.ip_forward=0
  routed ttl
  pair neigh
}
# Two local senders with one port, translated to one address: a race for the translated tuple.
snat() {
  pair snat; ip -n snat-a address add 10.0.0.11/24 dev eth0
  within snat-a nft 'table ip nat { chain post { type nat hook postrouting priority srcnat; udp dport 5353 snat to 10.0.0.1; }; }'
  within snat-b nft 'table ip f { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }'
}
# Two senders of one flow: clashes that are resolved. The nat engine binds all (tracked because a rule asks), the rules make the race's window longer.
merged() {
  pair merged
  within merged-a nft "table ip t { chain nat { type nat hook postrouting priority srcnat; ct state new counter; }; chain slow { type filter hook postrouting priority 200; $(for i in $(seq 300); do echo "udp length $((2000 + i)) counter;"; done) }; }"
  within merged-b nft 'table ip f { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }'
}
# Tracks connections; guest/traffic.py lowers the limit.
full() { pair full; within full-a nft 'table ip t { chain o { type filter hook output priority 0; ct state new counter; }; }'; within full-b nft 'table ip f { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }'; }
