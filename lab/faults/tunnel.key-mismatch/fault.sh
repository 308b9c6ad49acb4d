#!/bin/bash
# title: two OpenVPN ends with different keys
# story: the key was renewed on the server only
# watch: b
# needs: openvpn
# remedy: program
conf() { printf 'dev vpn0\ndev-type tun\nproto udp4\nifconfig %s\nsecret %s\ncipher AES-256-CBC\nverb 3\n%s\n' "$1" "$2" "$3" >"$4"; }
setup() {
  pair && openvpn --genkey secret "$LAB_DIR/k1" && openvpn --genkey secret "$LAB_DIR/k2" &&
  conf "192.168.83.1 192.168.83.2" "$LAB_DIR/k1" $'local 192.168.77.20\nport 1195' "$LAB_DIR/b.conf" && conf "192.168.83.2 192.168.83.1" "$LAB_DIR/${1:-k2}" $'remote 192.168.77.20 1195\nnobind' "$LAB_DIR/a.conf" || return 1
  keep ip netns exec "$LAB_ID-b" openvpn --config "$LAB_DIR/b.conf" --log "$LAB_DIR/b.log"
  keep ip netns exec "$LAB_ID-a" openvpn --config "$LAB_DIR/a.conf" --log "$LAB_DIR/a.log"
  local i; for i in $(seq 40); do x a ip link show vpn0 2>/dev/null | grep -q LOWER_UP && x b ip link show vpn0 2>/dev/null | grep -q LOWER_UP && break; sleep 0.1; done; settle
}
traffic() { peer a send ping 192.168.83.1 7 -n 20 --every 120; }
innocent_setup() { setup k1; }
