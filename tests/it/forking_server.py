"""A server of HTTP that forks for each connection. A child uses a given CPU time, answers, and ends; its parent waits for it.

Prints its port. `/used` is answered by the parent: what it and all its children have used, in ns.
"""

import os
import resource
import signal
import socket
import sys
import time

BURN_S = float(sys.argv[1])


def used_ns():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(sum(usage.ru_utime + usage.ru_stime for usage in both) * 1e9)


def answer(connection, body):
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    connection.close()


def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def request(connection):
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(4096)
        if not more:
            return None
        text += more
    return text.split()[1]


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
signal.signal(signal.SIGCHLD, reap)
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    path = request(connection)
    if path == b"/used":
        answer(connection, str(used_ns()).encode())
    elif path and os.fork() == 0:
        listener.close()
        end = time.process_time() + BURN_S
        while time.process_time() < end:
            pass
        answer(connection, b"hello")
        os._exit(0)
    connection.close()
