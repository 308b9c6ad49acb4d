"""traffic.py FAULT...: sends datagrams that are lost, each in its namespace, and prints what the kernel answered, as JSON:
{FAULT: {"sent": N, "errors": {"EPERM": N}, "arrived": N}}."""
import ctypes, errno, json, os, socket, sys, time

libc = ctypes.CDLL(None, use_errno=True)
open_to_the_end = []


def enter(name):
    fd = os.open('/run/netns/' + name, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), 'setns ' + name)
    os.close(fd)


def send(netns, count, to='10.0.0.2', source=None, ttl=None, port=9000):
    enter(netns)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        s.bind((source, 0))
    if ttl:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    errors = {}
    for _ in range(count):
        try:
            s.sendto(b'whydrop!', (to, port))
        except OSError as e:
            name = errno.errorcode[e.errno]
            errors[name] = errors.get(name, 0) + 1
        time.sleep(0.002)
    s.close()
    return {'sent': count, 'errors': errors}


def overfull():
    enter('rcvbuf-b')
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    receiver.bind(('10.0.0.2', 9000))
    open_to_the_end.append(receiver)  # so that its owner can be looked up
    result = send('rcvbuf-a', 40)
    time.sleep(0.5)
    receiver.settimeout(0.2)
    result['arrived'] = 0
    try:
        while receiver.recv(100):
            result['arrived'] += 1
    except TimeoutError:
        pass
    return result


def race(netns, sources, count):
    """Two processes on two CPUs, each with the same ports; a pair of datagrams at once, again and again."""
    enter(netns)
    start, pipes = time.monotonic() + 0.5, []
    for cpu, source in enumerate(sources):
        r, w = os.pipe()
        pipes.append(r)
        if os.fork() == 0:
            os.sched_setaffinity(0, {cpu})
            lost = 0
            for i in range(count):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                s.bind((source, 20000 + i))
                while time.monotonic() < start + i * 0.002:
                    pass
                try:
                    s.sendto(b'x', ('10.0.0.2', 5353))
                except PermissionError:
                    lost += 1
                s.close()
            os.write(w, str(lost).encode())
            os._exit(0)
    return {'sent': 2 * count, 'errors': {'EPERM': sum(int(os.read(r, 20)) for r in pipes)}}


def counted(netns, column):
    """A column of conntrack's counters, summed over the CPUs."""
    enter(netns)
    header, *rows = [line.split() for line in open('/proc/thread-self/net/stat/nf_conntrack')]
    return sum(int(row[header.index(column)], 16) for row in rows)


def merged(count):
    """One flow, two senders, and somebody who flushes: clashes that the kernel resolves, and nothing lost."""
    before = counted('merged-a', 'clashres')
    flusher = os.fork()
    if flusher == 0:
        for _ in range(20):
            os.system('conntrack -F 2>/dev/null')
            time.sleep(0.1)
        os._exit(0)
    result = race('merged-a', ('10.0.0.1', '10.0.0.1'), count)
    os.waitpid(flusher, 0)
    return {**result, 'resolved': counted('merged-a', 'clashres') - before}


def full(limit, count):
    """More first packets than the connection table holds entries. The limit is the whole machine's, and stays: it is read when whydrop gets to it."""
    # opened here, where it may be written
    setting = os.open('/proc/sys/net/netfilter/nf_conntrack_max', os.O_RDWR)
    os.pwrite(setting, str(limit).encode(), 0)
    enter('full-a')
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    errors = {}
    for i in range(count):
        try:
            s.sendto(b'whydrop!', ('10.0.0.2', 9000 + i))
        except OSError as e:
            errors[errno.errorcode[e.errno]] = errors.get(errno.errorcode[e.errno], 0) + 1
        time.sleep(0.02)
    return {'sent': count, 'errors': errors}


SENDERS = {
    'rule': lambda: send('rule-a', 25),
    'legacy': lambda: send('legacy-a', 26),
    'set': lambda: send('set-a', 27),
    'policy': lambda: send('policy-a', 28),
    'nobody': lambda: send('nobody-a', 29),
    'rcvbuf': overfull,
    'noroute': lambda: send('noroute-a', 30, to='192.0.2.1'),
    'blackhole': lambda: send('blackhole-a', 31, to='203.0.113.9'),
    'rpfilter': lambda: send('rpfilter-a', 32, source='10.9.9.9'),
    'nofwd': lambda: send('nofwd-a', 33, to='10.0.1.2'),
    'ttl': lambda: send('ttl-a', 34, to='10.0.1.2', ttl=1),
    'neigh': lambda: send('neigh-a', 20, to='10.0.0.77'),
    'snat': lambda: race('snat-a', ('10.0.0.1', '10.0.0.11'), 1500),
    'merged': lambda: merged(1500),
    'full': lambda: full(60, 100),
}


def main(names):
    """Each sender is a process that stays in its namespace, and alive until all are done."""
    done, children = os.pipe(), []
    for name in names:
        r, w = os.pipe()
        if os.fork() == 0:
            os.close(done[1])
            os.write(w, json.dumps(SENDERS[name]()).encode())
            os.close(w)
            os.read(done[0], 1)
            os._exit(0)
        os.close(w)
        children.append((name, r))
    results = {name: json.loads(os.read(r, 1000)) for name, r in children}
    print(json.dumps(results), flush=True)
    time.sleep(8)


main(sys.argv[1:])
