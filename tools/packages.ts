/** Debian packages that the lab, view and kernel tests use; the product itself needs none of them. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Package → a file that tells that it is there. */
const PACKAGES: Readonly<Record<string, string>> = {
  iptables: '/usr/sbin/iptables',
  nftables: '/usr/sbin/nft',
  arptables: '/usr/sbin/arptables',
  ebtables: '/usr/sbin/ebtables',
  ipset: '/usr/sbin/ipset',
  conntrack: '/usr/sbin/conntrack',
  iproute2: '/usr/sbin/ip',
  'iputils-ping': '/usr/bin/ping',
  ethtool: '/usr/sbin/ethtool',
  bpftool: '/usr/sbin/bpftool',
  bpftrace: '/usr/bin/bpftrace',
  openvpn: '/usr/sbin/openvpn',
  python3: '/usr/bin/python3',
  'python3-prometheus-client': '/usr/lib/python3/dist-packages/prometheus_client/parser.py',
  tmux: '/usr/bin/tmux',
  chromium: '/usr/bin/chromium',
  tshark: '/usr/bin/tshark',
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'busybox-static': '/usr/bin/busybox',
  cpio: '/usr/bin/cpio',
  kmod: '/usr/bin/kmod',
  'xz-utils': '/usr/bin/xz',
  e2fsprogs: '/usr/sbin/mke2fs',
  'linux-perf': '/usr/bin/perf',
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
  procps: '/usr/bin/ps',
  zsh: '/usr/bin/zsh',
  fish: '/usr/bin/fish',
};

/** Installs what is missing; says what it could not. Tests that miss a program skip and name it. */
export function installPackages(): void {
  const missing = Object.entries(PACKAGES).filter(([, file]) => !existsSync(file) && !existsSync(file.replace('/usr/', '/'))).map(([name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.log(`not installed: ${missing.join(' ')} (root and apt-get are needed to install them)`);
    return;
  }
  console.log(`installing for the tests: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  const { status } = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { stdio: ['ignore', 'ignore', 'inherit'], env });
  if (status !== 0) console.log(`apt-get install: status ${status}`);
}
