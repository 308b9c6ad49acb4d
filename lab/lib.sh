# What the faults of the lab are made of. Sourced by lab/step with LAB (this folder), LAB_ID (prefix of every namespace),
# LAB_DIR (scratch folder), NODE (the runtime), FAULT (folder of the fault). Nothing outside those namespaces is changed.
export LC_ALL=C
set -u

x()    { local n=$1; shift; ip netns exec "$LAB_ID-$n" "$@"; }                    # run in a namespace
ipn()  { local n=$1; shift; ip -n "$LAB_ID-$n" "$@"; }
sc()   { local n=$1 kv; shift; for kv in "$@"; do x "$n" sh -c 'echo "$2" > "/proc/sys/$1"' - "$(tr . / <<<"${kv%%=*}" | tr @ .)" "${kv#*=}" || return 1; done; }
netns() { local n; for n in "$@"; do ip netns add "$LAB_ID-$n" && ipn "$n" link set lo up && sc "$n" net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 || return 1; done; } # no duplicate address detection: link-local addresses work at once
wire() { ipn "$1" link add "$2" type veth peer name "$4" netns "$LAB_ID-$3" && ipn "$1" link set "$2" up && ipn "$3" link set "$4" up; } # NS DEV NS DEV
addr() { local n=$1 d=$2 a; shift 2; for a in "$@"; do case $a in *:*) ipn "$n" addr add "$a" dev "$d" nodad;; *) ipn "$n" addr add "$a" dev "$d";; esac || return 1; done; }
mac()  { x "$1" cat "/sys/class/net/$2/address"; }

# a (192.168.77.10, fd77::10) --lan0-- b (192.168.77.20, fd77::20)
pair() { netns a b && wire a lan0 b lan0 && addr a lan0 192.168.77.10/24 fd77::10/64 && addr b lan0 192.168.77.20/24 fd77::20/64; }
# a 192.168.71.2 -- r 192.168.71.1 (left), 192.168.72.1 (right) -- b 192.168.72.2; fd71::/64 and fd72::/64 alike
routed() {
  netns a r b && wire a lan0 r left && wire r right b lan0 &&
  addr a lan0 192.168.71.2/24 fd71::2/64 && addr r left 192.168.71.1/24 fd71::1/64 && addr r right 192.168.72.1/24 fd72::1/64 && addr b lan0 192.168.72.2/24 fd72::2/64 &&
  sc r net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 &&
  ipn a route add default via 192.168.71.1 && ipn b route add default via 192.168.72.1 &&
  ipn a -6 route add default via fd71::1 && ipn b -6 route add default via fd72::1
}
# a 192.168.73.10 -- s: bridge lan, ports p-a p-b p-c -- b 192.168.73.20, c 192.168.73.30
bridged() {
  netns a b c s && ipn s link add lan type bridge && ipn s link set lan up || return 1
  local n i=10
  for n in a b c; do wire "$n" lan0 s "p-$n" && ipn s link set "p-$n" master lan && addr "$n" lan0 "192.168.73.$i/24" "fd73::$i/64" || return 1; i=$((i + 10)); done
}
settle() { sleep "${1:-0.3}"; }          # neighbour discovery and MLD of new links pass by

peer() { local n=$1; shift; x "$n" "$NODE" "$LAB/peer.mjs" "$@"; }
# daemon NS peer-arguments…: lives until teardown; returns when it is ready. NS `-`: in no namespace of the lab (cgroups)
daemon() {
  local n=$1 ready i; shift
  ready=$(mktemp -u "$LAB_DIR/ready.XXXXXX")
  if [ "$n" = - ]; then setsid "$NODE" "$LAB/peer.mjs" "$@" --ready "$ready" >>"$LAB_DIR/daemons" 2>&1 </dev/null &
  else setsid ip netns exec "$LAB_ID-$n" "$NODE" "$LAB/peer.mjs" "$@" --ready "$ready" >>"$LAB_DIR/daemons" 2>&1 </dev/null &
  fi
  local pid=$!
  echo $pid >>"$LAB_DIR/pids"
  for i in $(seq 100); do [ -e "$ready" ] && { DAEMON=$(cat "$ready"); return 0; }; kill -0 $pid 2>/dev/null || break; sleep 0.05; done
  cat "$LAB_DIR/daemons" >&2; return 1
}
# keep COMMAND…: any other program that lives until teardown
keep() { setsid "$@" >>"$LAB_DIR/daemons" 2>&1 </dev/null & echo $! >>"$LAB_DIR/pids"; DAEMON=$!; }

udp() { local n=$1; shift; peer "$n" send udp "$@"; }      # NS ADDRESS PORT …
tcp() { local n=$1; shift; peer "$n" send tcp "$@"; }
few="-n 8 --every 15"                                     # for `works`: short, and nearly all must be answered

# here TEXT COMMAND…: this kernel can do COMMAND, else the fault is skipped with TEXT and what the command said
here() {
  local text=$1 said; shift
  said=$("$@" 2>&1) && return 0
  echo "$text: $(head -1 <<<"$said")" >&2; exit 77
}
# trial: a throw-away namespace `t` for `possible`
trial() { ip netns del "$LAB_ID-t" 2>/dev/null; netns t; }

setup() { :; }
innocent_setup() { setup; }
innocent() { traffic; }
restore() { :; }

teardown() {
  local p n
  restore 2>/dev/null
  if [ -f "$LAB_DIR/pids" ]; then
    while read -r p; do kill -CONT "$p" 2>/dev/null; kill "$p" 2>/dev/null; done <"$LAB_DIR/pids"
    sleep 0.05
    while read -r p; do kill -9 "$p" 2>/dev/null; done <"$LAB_DIR/pids"
  fi
  for n in $(ip netns list | awk '{print $1}' | grep -E "^$LAB_ID-[a-z]$"); do ip netns del "$n"; done
  rm -rf "$LAB_DIR"
}
