"""A TCP proxy before a database, that a test can close, cut and open again."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from tests.servers import free_port


class Proxy:
    """Passes connections on to a port of this host while it is up.

    Down, it refuses new ones; those there are were cut.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = free_port()
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.down()

    def up(self) -> None:
        """Accept connections, always on the same port."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse new connections and cut the others."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _hang_up(listener)
        self.cut()

    def cut(self) -> None:
        """Cut the connections there are; new ones are welcome."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _hang_up(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                if self._listener is not listener:
                    client.close()
                    server.close()
                    return
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with self._lock:
            ours = {source, sink} & self._open
            self._open -= ours
        for connection in ours:
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    """Close a connection that another thread may be reading, which a close alone would not end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
