"""two-hosts.py a|b OWN OTHER: the traffic of two-hosts, and how far the clocks are apart, told by datagrams there and back."""
import errno, json, select, socket, sys, time

host, own, other = sys.argv[1:]
CLOCKS = ('CLOCK_MONOTONIC', 'CLOCK_REALTIME')
now = lambda: [time.clock_gettime_ns(getattr(time, c)) for c in CLOCKS]


def asked(control, what, wait=1.0):
    control.sendto(json.dumps(what).encode(), (other, 7000))
    if not select.select([control], [], [], wait)[0]:
        return None
    return json.loads(control.recv(500))


def compare(control, rounds=150):
    """Per clock the bounds of (b's minus a's): the answer was given between the question and its arrival."""
    low, high = [-1 << 62] * 2, [1 << 62] * 2
    for _ in range(rounds):
        before = now()
        there = asked(control, 'time')
        after = now()
        if there is None:
            continue
        for i in range(2):
            low[i], high[i] = max(low[i], there[i] - after[i]), min(high[i], there[i] - before[i])
    return {'at': before, 'low': low, 'high': high}


def tries(port, wait):
    """A connection that does not block: refused, or given up."""
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((other, port))
    select.select([], [s], [], wait)
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    s.close()
    return errno.errorcode.get(error, str(error))


def datagrams(port, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((other, port))
    refused = 0
    for _ in range(count):
        for act in (lambda: s.send(b'x' * 40), lambda: select.select([s], [], [], 0.3)[0] and s.recv(100)):
            try:
                act()
            except ConnectionRefusedError:
                refused += 1
    return refused


def traffic(rounds):
    seen = [tries(8081, 2) for _ in range(rounds)]
    return seen + [datagrams(8082, 3)]


control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.bind((own, 7000))
if host == 'a':
    while asked(control, 'time', 0.5) is None:
        pass
    clocks = [compare(control)]
    print('a was told', traffic(12), [tries(9000, 2.5) for _ in range(2)])
    print('b was told', asked(control, 'traffic', 30))
    print('a was told', traffic(12))
    clocks.append(compare(control))
    with open('/out/clocks.json', 'w') as f:
        json.dump(clocks, f)
    for _ in range(3):
        asked(control, 'end', 0.3)
else:
    while True:
        if not select.select([control], [], [], 90)[0]:
            sys.exit('nobody asks')
        what = json.loads(control.recv(500))
        answer = now() if what == 'time' else traffic(12) if what == 'traffic' else 'ended'
        control.sendto(json.dumps(answer).encode(), (other, 7000))
        if what == 'end':
            break
