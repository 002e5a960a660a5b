#!/usr/bin/env python3
"""Plays the service manager's part for service.test.mjs: holds a listening socket, starts the program with it, and
receives its notifications.

    manager.py PROGRAM [ARGUMENT...]

It takes one command a line on standard input and answers in lines of JSON on standard output:
    start          starts the program with the socket as descriptor 3        {"started": PID}
    signal NAME    sends the program a signal                                {"signalled": NAME}
    stop / exit    SIGTERM; in any case the end of the program is reported   {"ended": STATUS, "after": SECONDS}
    datagrams      as they come                                              {"notify": TEXT}
The first line is {"port": PORT}. Environment: MANAGER_ABSTRACT (any value): an abstract notification socket;
MANAGER_WATCHDOG_USEC; MANAGER_SOCKETS: "tcp", "tcp tcp", "tcp admin", ... ; MANAGER_NO_SOCKETS. The program's own
output goes to standard error.
"""
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time

lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def notifications(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)

    def receive():
        while True:
            say(notify=s.recv(65536).decode())

    threading.Thread(target=receive, daemon=True).start()


def sockets(folder):
    kinds = os.environ.get('MANAGER_SOCKETS', 'tcp').split()
    made = []
    for kind in kinds:
        if kind == 'udp':
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('127.0.0.1', 0))
        elif kind == 'tcp':
            s = socket.create_server(('127.0.0.1', 0), backlog=1024)
        else:
            s = socket.socket(socket.AF_UNIX)
            s.bind(os.path.join(folder, 'admin'))
            s.listen(64)
        # Out of the way of 3, 4, ...
        os.set_inheritable(s.fileno(), False)
        made.append(s)
    return kinds, made


def environment(address, kinds):
    env = dict(os.environ, NOTIFY_SOCKET=address)
    if 'MANAGER_WATCHDOG_USEC' in os.environ:
        env.update(WATCHDOG_USEC=os.environ['MANAGER_WATCHDOG_USEC'], WATCHDOG_PID=str(os.getpid()))
    if 'MANAGER_NO_SOCKETS' not in os.environ:
        env.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kinds)), LISTEN_FDNAMES=':'.join(kinds))
    return env


def become(command, address, kinds, made):
    copies = [os.dup(s.fileno()) for s in made]
    high = [os.dup2(c, 100 + i) for i, c in enumerate(copies)]
    if 'MANAGER_NO_SOCKETS' not in os.environ:
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
            os.set_inheritable(3 + i, True)
    for fd in high + copies:
        if fd >= 3 + len(made):
            os.close(fd)
    null = os.open('/dev/null', os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.execvpe(command[0], command, environment(address, kinds))


def main():
    command = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix='sallyport-manager-')
    path = os.path.join(folder, 'notify')
    address = '@sallyport-test-%d' % os.getpid() if 'MANAGER_ABSTRACT' in os.environ else path
    notifications('\0' + address[1:] if address[0] == '@' else path)
    kinds, made = sockets(folder)
    say(port=next((s.getsockname()[1] for k, s in zip(kinds, made) if k in ('tcp', 'udp')), 0),
        admin=os.path.join(folder, 'admin'))
    pid = 0

    def wait(child, since):
        status = os.waitpid(child, 0)[1]
        say(ended=os.waitstatus_to_exitcode(status), after=time.monotonic() - since[0])

    since = [time.monotonic()]
    for line in sys.stdin:
        words = line.split()
        if words[0] == 'start':
            pid = os.fork()
            if pid == 0:
                become(command, address, kinds, made)
            say(started=pid)
            threading.Thread(target=wait, args=(pid, since), daemon=True).start()
        elif words[0] in ('signal', 'stop'):
            name = words[1] if len(words) > 1 else 'SIGTERM'
            since[0] = time.monotonic()
            os.kill(pid, getattr(signal, name))
            say(signalled=name)
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


main()
