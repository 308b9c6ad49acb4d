/**
 * Traffic for the lab, on the system calls themselves: what a program on either end of a wire does, and what Node's own
 * sockets cannot (frames built by hand, TCP MD5 keys, least TTLs, socket filters, BPF programs).
 *
 *   serve udp|tcp ADDRESS PORT   answers what it receives; --no-read, --no-accept, --rcvbuf N, --backlog N, --minttl N,
 *                                --filter (a socket filter that takes nothing), --md5 PEER/KEY, --idle MS (closes idle connections),
 *                                --pause MS (before each read), --join GROUP/OWN-ADDRESS
 *   send udp|tcp|ping ADDRESS PORT   sends and waits for answers; exit 0 when --need percent (80) came back. -n N, --every MS,
 *                                --size N, --from ADDRESS, --sport N, --ttl N, --broadcast, --dev NAME, --mark N, --md5 KEY,
 *                                --locked (changes a locked socket filter),
 *                                --gap MS (TCP: idle time before the second message), --connections N, --blind (no answers), --connected
 *   send race ADDRESS PORT --from A --also B   two threads send at the same moment from the same port, -n times or for 3 s
 *   frames DEV KIND --dst MAC --from IP --to IP PORT   raw frames: plain, ip-checksum, udp-checksum, ip-length, source-route,
 *                                first-fragment, protocol (--protocol N), ethertype
 *   tun NAME [--pause MS] [--stop]   the program behind a tun device: swaps addresses and sends back
 *   bpf TYPE WHERE [--verdict N]     loads a program of two instructions and holds it: cgroup-egress PATH, cgroup-ingress PATH,
 *                                netfilter-input, xdp DEV, tcx-ingress DEV, tcx-egress DEV
 *   seccomp ERRNO COMMAND...         runs a command whose sendto calls are answered by a seccomp filter (x86_64, arm64)
 * --ready FILE is written when the work can begin; by send tcp after the first answer.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync, openSync, constants } from 'node:fs';
import { isIPv6 } from 'node:net';
import { arch } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import koffi from 'koffi';

if (isMainThread) process.title = 'lab-peer';
const libc = koffi.load(null);
const c = {
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const void *, uint32_t)'),
  connect: libc.func('int connect(int, const void *, uint32_t)'),
  listen: libc.func('int listen(int, int)'),
  accept: libc.func('int accept4(int, void *, void *, int)'),
  setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
  sendto: libc.func('intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)'),
  recvfrom: libc.func('intptr_t recvfrom(int, void *, size_t, int, void *, _Inout_ uint32_t *)'),
  poll: libc.func('int poll(_Inout_ void *, unsigned long, int)'),
  close: libc.func('int close(int)'),
  ioctl: libc.func('int ioctl(int, unsigned long, void *)'),
  read: libc.func('intptr_t read(int, void *, size_t)'),
  write: libc.func('intptr_t write(int, const void *, size_t)'),
  syscall: libc.func('long syscall(long, long, const void *, long, long, long, long)'),
  prctl: libc.func('int prctl(int, unsigned long, void *, unsigned long, unsigned long)'),
  execvp: libc.func('int execvp(const char *, void *)'),
  if_nametoindex: libc.func('uint32_t if_nametoindex(const char *)'),
};
const errnoName = () => Object.entries(koffi.os.errno).find(([, n]) => n === koffi.errno())?.[0] ?? String(koffi.errno());
const must = (result, what) => {
  if (result < 0) {
    console.error(`${what}: ${errnoName()}`);
    process.exit(1);
  }
  return result;
};

const positional = [];
const options = {};
const FLAGS = new Set(['no-read', 'no-accept', 'filter', 'broadcast', 'blind', 'connected', 'stop', 'recverr', 'df', 'locked']);
const argv = process.argv.slice(2);
for (let i = 0; i < argv.length; i++) {
  const word = argv[i];
  if (positional[0] === 'seccomp' && positional.length >= 2) positional.push(word);
  else if (word === '-n') options.n = argv[++i];
  else if (!word.startsWith('--')) positional.push(word);
  else if (FLAGS.has(word.slice(2))) options[word.slice(2)] = true;
  else options[word.slice(2)] = argv[++i];
}
const number = (name, fallback) => (options[name] === undefined ? fallback : Number(options[name]));
const ready = () => options.ready !== undefined && writeFileSync(options.ready, String(process.pid));
const sleep = (ms) => c.poll(null, 0, ms);
const int = (value) => {
  const b = Buffer.alloc(4);
  b.writeInt32LE(value);
  return b;
};

/** Bytes of an address; IPv6 with at most one `::`. */
function bytesOf(address) {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head, tail] = address.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const words = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return Buffer.from(words.flatMap((w) => [parseInt(w, 16) >> 8, parseInt(w, 16) & 255]));
}
/** struct sockaddr_in or sockaddr_in6; `fe80::1%eth0` has a scope. */
function sockaddr(address, port) {
  const [bare, scope] = address.split('%');
  const six = isIPv6(bare);
  const b = Buffer.alloc(six ? 28 : 16);
  b.writeUInt16LE(six ? 10 : 2, 0);
  b.writeUInt16BE(port, 2);
  bytesOf(bare).copy(b, six ? 8 : 4);
  if (six && scope !== undefined) b.writeUInt32LE(c.if_nametoindex(scope), 24);
  return b;
}
const readable = (fd, ms) => {
  const p = Buffer.alloc(8);
  p.writeInt32LE(fd, 0);
  p.writeInt16LE(1, 4);
  return c.poll(p, 1, ms) > 0;
};
const writable = (fd, ms) => {
  const p = Buffer.alloc(8);
  p.writeInt32LE(fd, 0);
  p.writeInt16LE(4, 4);
  return c.poll(p, 1, ms) > 0;
};
const set = (fd, level, name, value, what) => must(c.setsockopt(fd, level, name, value, value.length), what);
/** struct tcp_md5sig. */
function md5(peer, key) {
  const b = Buffer.alloc(128 + 8 + 80);
  sockaddr(peer, 0).copy(b);
  b.writeUInt16LE(key.length, 130);
  b.write(key, 136);
  return b;
}

function serve(kind, address, port) {
  const six = isIPv6(address);
  const fd = must(c.socket(six ? 10 : 2, kind === 'tcp' ? 1 : 2, 0), 'socket');
  set(fd, 1, 2, int(1), 'SO_REUSEADDR');
  if (options.rcvbuf) set(fd, 1, 8, int(Number(options.rcvbuf)), 'SO_RCVBUF');
  if (options.dev) set(fd, 1, 25, Buffer.from(`${options.dev}\0`), 'SO_BINDTODEVICE');
  if (options.join) set(fd, 0, 35, Buffer.concat(options.join.split('/').map(bytesOf)), 'IP_ADD_MEMBERSHIP');
  if (options.minttl) six ? set(fd, 41, 73, int(Number(options.minttl)), 'IPV6_MINHOPCOUNT') : set(fd, 0, 21, int(Number(options.minttl)), 'IP_MINTTL');
  if (options.md5) {
    const [peer, key] = options.md5.split('/');
    set(fd, 6, 14, md5(peer, key), 'TCP_MD5SIG');
  }
  if (options.filter) {
    // struct sock_fprog of one instruction: BPF_RET | BPF_K, 0
    const code = Buffer.from([6, 0, 0, 0, 0, 0, 0, 0]);
    const prog = Buffer.alloc(16);
    prog.writeUInt16LE(1, 0);
    prog.writeBigUInt64LE(BigInt(koffi.address(code)), 8);
    set(fd, 1, 26, prog, 'SO_ATTACH_FILTER');
  }
  must(c.bind(fd, sockaddr(address, port), six ? 28 : 16), `bind ${address} ${port}`);
  const buffer = Buffer.alloc(65536);
  if (kind === 'tcp') must(c.listen(fd, number('backlog', 64)), 'listen');
  ready();
  if (options['no-read'] || options['no-accept']) for (;;) sleep(60_000);
  const pause = number('pause', 0);
  if (kind === 'udp') {
    const from = Buffer.alloc(28);
    for (;;) {
      if (pause > 0) sleep(pause);
      const n = Number(c.recvfrom(fd, buffer, buffer.length, 0, from, [28]));
      if (n >= 0) c.sendto(fd, buffer, Math.min(n, 64), 0, from, six ? 28 : 16);
    }
  }
  // one thread, many connections: poll them all
  const idle = number('idle', 0);
  const open = new Map();
  for (;;) {
    const fds = [fd, ...open.keys()];
    const p = Buffer.alloc(8 * fds.length);
    fds.forEach((f, i) => {
      p.writeInt32LE(f, 8 * i);
      p.writeInt16LE(1, 8 * i + 4);
    });
    c.poll(p, fds.length, 50);
    fds.forEach((f, i) => {
      if (p.readInt16LE(8 * i + 6) === 0) {
        if (f !== fd && idle > 0 && Date.now() - open.get(f) > idle) {
          c.close(f);
          open.delete(f);
        }
      } else if (f === fd) {
        const connection = c.accept(fd, null, null, 0);
        if (connection >= 0) open.set(connection, Date.now());
      } else {
        const n = Number(c.recvfrom(f, buffer, buffer.length, 0, null, [0]));
        if (n <= 0) {
          c.close(f);
          open.delete(f);
        } else {
          open.set(f, Date.now());
          c.sendto(f, buffer, Math.min(n, 64), 0x4000, null, 0);
        }
      }
    });
  }
}

const errors = new Map();
const note = () => errors.set(errnoName(), (errors.get(errnoName()) ?? 0) + 1);
function done(sent, answered) {
  const text = [...errors].map(([name, n]) => `${name} ${n}`).join(', ');
  console.log(`sent ${sent}, answered ${answered}${text === '' ? '' : `, ${text}`}`);
  process.exit(options.blind ? 0 : sent > 0 && answered * 100 >= sent * number('need', 80) ? 0 : 1);
}

function send(kind, address, port) {
  const six = isIPv6(address.split('%')[0]);
  const n = number('n', 40), every = number('every', 40), size = Math.max(8, number('size', 48));
  const buffer = Buffer.alloc(65536);
  const payload = Buffer.alloc(size, 0x77);
  const to = sockaddr(address, kind === 'ping' ? 0 : port); // ping: PORT is the echo id
  const make = (type, protocol) => {
    const fd = must(c.socket(six ? 10 : 2, type, protocol), 'socket');
    if (options.dev) set(fd, 1, 25, Buffer.from(`${options.dev}\0`), 'SO_BINDTODEVICE');
    if (options.broadcast) set(fd, 1, 6, int(1), 'SO_BROADCAST');
    if (options.mark) set(fd, 1, 36, int(Number(options.mark)), 'SO_MARK');
    if (options.recverr) six ? set(fd, 41, 25, int(1), 'IPV6_RECVERR') : set(fd, 0, 11, int(1), 'IP_RECVERR');
    if (options.df) six ? set(fd, 41, 23, int(2), 'IPV6_MTU_DISCOVER') : set(fd, 0, 10, int(3), 'IP_MTU_DISCOVER');
    if (options.ttl) six ? set(fd, 41, 16, int(Number(options.ttl)), 'IPV6_UNICAST_HOPS') : set(fd, 0, 2, int(Number(options.ttl)), 'IP_TTL');
    if (options.md5) set(fd, 6, 14, md5(address, options.md5), 'TCP_MD5SIG');
    if (options.locked) {
      set(fd, 1, 44, int(1), 'SO_LOCK_FILTER');
      set(fd, 1, 27, int(0), 'SO_DETACH_FILTER');
    }
    if (options.from || options.sport) must(c.bind(fd, sockaddr(options.from ?? (six ? '::' : '0.0.0.0'), number('sport', 0)), six ? 28 : 16), 'bind');
    return fd;
  };
  if (kind !== 'tcp') {
    const fd = kind === 'ping' ? make(3, six ? 58 : 1) : make(2, 0);
    if (options.connected && c.connect(fd, to, to.length) < 0) note();
    let answered = 0;
    const collect = (ms) => {
      for (const end = Date.now() + ms; ; ) {
        if (!readable(fd, Math.max(0, end - Date.now()))) return;
        const got = Number(c.recvfrom(fd, buffer, buffer.length, 0x40, null, [0]));
        if (got < 0) note();
        else if (kind !== 'ping' || buffer[six ? 0 : (buffer[0] & 15) * 4] === (six ? 129 : 0)) answered += 1;
        if (Date.now() >= end && ms > 0) return;
      }
    };
    for (let i = 0; i < n; i++) {
      let message = payload;
      if (kind === 'ping') {
        message = Buffer.alloc(size);
        message[0] = six ? 128 : 8;
        message.writeUInt16BE(port, 4);
        message.writeUInt16BE(i, 6);
        if (!six) message.writeUInt16BE(checksum(message), 2);
      } else payload.writeUInt32BE(i, 0);
      const r = options.connected ? c.sendto(fd, message, size, 0, null, 0) : c.sendto(fd, message, size, 0, to, to.length);
      if (Number(r) < 0) note();
      if (every > 0) collect(every);
    }
    collect(options.blind ? 0 : 400);
    return done(n, answered);
  }
  const connections = number('connections', 1), wait = number('wait', 1200);
  let sent = 0, answered = 0;
  for (let k = 0; k < connections; k++) {
    const fd = make(1 | 0o4000, 0);
    sent += 1;
    if (c.connect(fd, to, to.length) < 0 && koffi.errno() !== 115) {
      note();
      sleep(every);
      continue;
    }
    if (!writable(fd, wait)) {
      errors.set('no connection', (errors.get('no connection') ?? 0) + 1);
      c.close(fd);
      continue;
    }
    let good = true;
    for (let i = 0; i < Math.max(1, Math.floor(n / connections)) && good; i++) {
      if (i === 1) ready();
      if (i === 1 && options.gap) sleep(Number(options.gap));
      good = false;
      if (Number(c.sendto(fd, payload, size, 0x4000, null, 0)) < 0) note();
      else if (readable(fd, wait)) {
        const got = Number(c.recvfrom(fd, buffer, buffer.length, 0, null, [0]));
        if (got > 0) good = true;
        else if (got < 0) note();
      }
      if (good && every > 0) sleep(every);
    }
    if (good) answered += 1;
    c.close(fd);
  }
  done(sent, answered);
}

const RACE_MS = 3_000;
/** Two threads, one for each source address, send their first datagram from the same port at the same moment; for -n ports. */
async function race(address, port) {
  const n = number('n', 5000);
  const shared = new Int32Array(new SharedArrayBuffer(16));
  const worker = (me) => new Worker(new URL(import.meta.url), { argv: ['racer', me === 0 ? options.from : options.also, address, String(port), '-n', String(n)], workerData: { shared } });
  const refused = await Promise.all([0, 1].map((me) => new Promise((end) => worker(me).once('message', end))));
  const lost = refused[0] + refused[1], sent = Atomics.load(shared, 0);
  console.log(`sent ${sent}, refused ${lost}`);
  process.exit(lost * 200 > sent ? 1 : 0); // two random ports are the same now and then
}
function racer(from, address, port) {
  const n = number('n', 5000), { shared } = workerData;
  const to = sockaddr(address, port), payload = Buffer.alloc(32, 0x72);
  const end = Date.now() + RACE_MS;
  let refused = 0;
  for (let i = 0; i < n && Atomics.load(shared, 1) === 0; i++) {
    const fd = c.socket(2, 2, 0);
    const local = sockaddr(from, 33_000 + i);
    c.bind(fd, local, local.length);
    Atomics.add(shared, 0, 1);
    for (let spins = 0; Atomics.load(shared, 0) < 2 * (i + 1) && Atomics.load(shared, 1) === 0; spins++) if (spins % 4096 === 4095 && Date.now() > end) Atomics.store(shared, 1, 1);
    if (Number(c.sendto(fd, payload, payload.length, 0, to, to.length)) < 0) refused += 1;
    c.close(fd);
    if (Date.now() > end) Atomics.store(shared, 1, 1);
  }
  Atomics.store(shared, 1, 1);
  parentPort.postMessage(refused);
}

function checksum(bytes, start = 0) {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
const mac = (text) => Buffer.from(text.split(':').map((x) => parseInt(x, 16)));
const u16 = (...values) => {
  const b = Buffer.alloc(2 * values.length);
  values.forEach((v, i) => b.writeUInt16BE(v & 0xffff, 2 * i));
  return b;
};

function frames(dev, kind) {
  const fd = must(c.socket(17, 3, 0), 'socket(AF_PACKET)');
  const index = c.if_nametoindex(dev);
  const ll = Buffer.alloc(20);
  ll.writeUInt16LE(17, 0);
  ll.writeInt32LE(index, 4);
  const source = mac(readFileSync(`/sys/class/net/${dev}/address`, 'utf8').trim());
  const from = options.from, to = options.to, six = isIPv6(to);
  const port = number('port', 9);
  ready();
  const n = number('n', 40);
  for (let i = 0; i < n; i++) {
    const data = Buffer.alloc(number('size', 64), 0x6c);
    const transport = number('protocol', 17);
    const head = (check) => Buffer.concat([u16(5000 + (i % 7), port, 8 + data.length, check), data]);
    const pseudo = Buffer.concat([bytesOf(from), bytesOf(to), six ? Buffer.concat([u16(0, 8 + data.length, 0), Buffer.from([0, transport])]) : Buffer.concat([Buffer.from([0, transport]), u16(8 + data.length)])]);
    let l4 = transport === 17 ? head(kind === 'udp-checksum' ? 0x1234 : checksum(Buffer.concat([pseudo, head(0)])) || 0xffff) : data;
    if (transport === 6) {
      // a bare SYN with a checksum that is wrong unless KIND is plain
      const tcp = Buffer.concat([u16(5000 + (i % 7), port, 1, i, 0, 0, 0x5002, 1024, 0, 0)]);
      tcp.writeUInt16BE(kind === 'tcp-checksum' ? 0x4242 : checksum(Buffer.concat([bytesOf(from), bytesOf(to), Buffer.from([0, 6]), u16(tcp.length), tcp])), 16);
      l4 = tcp;
    }
    let packet;
    if (six) {
      packet = Buffer.concat([Buffer.from([0x60, 0, 0, 0]), u16(l4.length), Buffer.from([transport, number('ttl', 64)]), bytesOf(from), bytesOf(to), l4]);
      if (kind === 'ip-length') packet.writeUInt16BE(l4.length + 40, 4);
    } else {
      const option = kind === 'source-route' ? Buffer.concat([Buffer.from([131, 7, 4]), bytesOf(options.via ?? to), Buffer.from([0])]) : Buffer.alloc(0);
      const fragment = kind === 'first-fragment';
      const header = Buffer.concat([Buffer.from([0x45 + option.length / 4, 0]), u16(20 + option.length + l4.length, 0x3000 + i, fragment ? 0x2000 : 0), Buffer.from([number('ttl', 64), transport]), u16(0), bytesOf(from), bytesOf(to), option]);
      if (kind === 'ip-length') header.writeUInt16BE(header.length + l4.length + 40, 2);
      header.writeUInt16BE(checksum(header), 10);
      if (kind === 'ip-checksum') header.writeUInt16BE(header.readUInt16BE(10) ^ 0x0101, 10);
      packet = Buffer.concat([header, l4]);
    }
    const type = kind === 'ethertype' ? 0x88b5 : six ? 0x86dd : 0x0800;
    const frame = Buffer.concat([mac(options.dst), source, u16(type), packet]);
    if (Number(c.sendto(fd, frame, frame.length, 0, ll, 20)) < 0) note();
    sleep(number('every', 40));
  }
  options.blind = true;
  done(n, 0);
}

function tun(name) {
  const fd = openSync('/dev/net/tun', constants.O_RDWR);
  const request = Buffer.alloc(40);
  request.write(name);
  request.writeUInt16LE(0x1001, 16); // IFF_TUN | IFF_NO_PI
  must(c.ioctl(fd, 0x400454ca, request), `TUNSETIFF ${name}`);
  ready();
  if (options.stop) for (;;) sleep(60_000);
  const buffer = Buffer.alloc(2048);
  for (;;) {
    if (options.pause) sleep(Number(options.pause));
    const n = Number(c.read(fd, buffer, buffer.length));
    if (n < 28 || buffer[0] >> 4 !== 4 || buffer[9] !== 17) continue;
    const at = (buffer[0] & 15) * 4;
    const source = Buffer.from(buffer.subarray(12, 16));
    buffer.copyWithin(12, 16, 20);
    source.copy(buffer, 16);
    const port = Buffer.from(buffer.subarray(at, at + 2));
    buffer.copyWithin(at, at + 2, at + 4);
    port.copy(buffer, at + 2);
    c.write(fd, buffer, n);
  }
}

const SYS = arch() === 'arm64' ? { bpf: 280, sendto: 206, audit: 0xc00000b7 } : { bpf: 321, sendto: 44, audit: 0xc000003e };
function bpf(kind, where) {
  const [type, attach] = { 'cgroup-ingress': [8, 0], 'cgroup-egress': [8, 1], 'netfilter-input': [32, 45], xdp: [6, 37], 'tcx-ingress': [3, 46], 'tcx-egress': [3, 47] }[kind];
  const code = Buffer.from([0xb7, 0, 0, 0, ...int(number('verdict', 0)), 0x95, 0, 0, 0, 0, 0, 0, 0]);
  const licence = Buffer.from('GPL\0');
  const attr = Buffer.alloc(128);
  attr.writeUInt32LE(type, 0);
  attr.writeUInt32LE(2, 4);
  attr.writeBigUInt64LE(BigInt(koffi.address(code)), 8);
  attr.writeBigUInt64LE(BigInt(koffi.address(licence)), 16);
  attr.write('lab_verdict', 48);
  attr.writeUInt32LE(attach, 68);
  const program = must(Number(c.syscall(SYS.bpf, 5, attr, attr.length, 0, 0, 0)), `bpf(BPF_PROG_LOAD, ${kind})`);
  const link = Buffer.alloc(64);
  link.writeUInt32LE(program, 0);
  link.writeUInt32LE(attach, 8);
  if (kind.startsWith('cgroup')) link.writeInt32LE(openSync(where, constants.O_RDONLY | constants.O_DIRECTORY), 4);
  else if (kind === 'netfilter-input') {
    link.writeUInt32LE(number('family', 2), 16); // NFPROTO_IPV4
    link.writeUInt32LE(1, 20); // NF_INET_LOCAL_IN
    link.writeInt32LE(-50, 24);
  } else link.writeUInt32LE(c.if_nametoindex(where), 4);
  must(Number(c.syscall(SYS.bpf, 28, link, link.length, 0, 0, 0)), `bpf(BPF_LINK_CREATE, ${kind})`);
  ready();
  for (;;) sleep(60_000);
}

function seccomp(errno, command) {
  const insn = (op, jt, jf, k) => {
    const b = Buffer.alloc(8);
    b.writeUInt16LE(op, 0);
    b[2] = jt;
    b[3] = jf;
    b.writeUInt32LE(k >>> 0, 4);
    return b;
  };
  const code = Buffer.concat([insn(0x20, 0, 0, 4), insn(0x15, 0, 3, SYS.audit), insn(0x20, 0, 0, 0), insn(0x15, 0, 1, SYS.sendto), insn(6, 0, 0, 0x00050000 | Number(errno)), insn(6, 0, 0, 0x7fff0000)]);
  const prog = Buffer.alloc(16);
  prog.writeUInt16LE(6, 0);
  prog.writeBigUInt64LE(BigInt(koffi.address(code)), 8);
  must(c.prctl(38, 1, null, 0, 0), 'PR_SET_NO_NEW_PRIVS');
  must(c.prctl(22, 2, prog, 0, 0), 'PR_SET_SECCOMP');
  const child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
  child.once('exit', (status) => process.exit(status ?? 1));
}

const [what, kind, address, port, ...rest] = positional;
if (what === 'racer') racer(kind, address, Number(port));
else if (kind === 'race') await race(address, Number(port));
else if (what === 'serve') serve(kind, address, Number(port));
else if (what === 'send') send(kind, address, Number(port ?? 0));
else if (what === 'frames') frames(kind, address);
else if (what === 'tun') tun(kind);
else if (what === 'bpf') bpf(kind, address);
else if (what === 'seccomp') seccomp(kind, [address, port, ...rest].filter((x) => x !== undefined));
else {
  console.error('peer.mjs serve|send|frames|tun|bpf|seccomp …; see its first lines');
  process.exit(2);
}
