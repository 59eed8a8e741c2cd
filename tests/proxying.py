"""TCP proxies before a server: what passes can be looked at, changed and lost."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Ways = tuple[Callable[[], None], Callable[[], None]]


class TcpProxy(ABC):
    """Serves clients, on a port of its own, for as long as the context lasts.

    Args:
        host: of the server behind it.
        port: of the server behind it.
    """

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @abstractmethod
    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Return what passes messages on to the server, and to the client, until one side ends.

        Either may raise OSError or EOFError for that. A greeting may be exchanged before.
        """

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _end(self._listener)
        self._threads[0].join()
        with self.lock:
            left = list(self._open)
        for connection in left:  # a test that failed leaves some behind
            shut(connection)
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self.server)
        with self.lock:
            self._open |= {client, server}
        for connection in (client, server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, EOFError):
            to_server, to_client = self.ways(client, server)
            answers = threading.Thread(target=_passed_on, args=(to_client, client, server))
            answers.start()
            _passed_on(to_server, server)
            answers.join()
        with self.lock:
            self._open -= {client, server}
        _end(client)
        _end(server)


def _passed_on(way: Callable[[], None], *ends: socket.socket) -> None:
    """Go one way to its end, and then hang up."""
    with suppress(OSError, EOFError):
        way()
    for end in ends:
        shut(end)


class Losing(TcpProxy):
    """Loses answers to a command, and the connection with them: the client cannot know.

    Args:
        host: of the server.
        port: of the server.
        command: what a message has in it that asks for such an answer.
        left: how many answers it still loses.
    """

    def __init__(self, host: str, port: int, command: bytes, left: int = 0) -> None:
        super().__init__(host, port)
        self._command, self.left = command, left

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Look for the command, and hang up instead of the answer."""
        asked = threading.Event()

        def to_server() -> None:
            while data := client.recv(65_536):
                if self._command in data:
                    asked.set()
                server.sendall(data)

        def to_client() -> None:
            while data := server.recv(65_536):
                if asked.is_set() and self._loses():
                    return
                asked.clear()
                client.sendall(data)

        return to_server, to_client

    def _loses(self) -> bool:
        with self.lock:
            if not self.left:
                return False
            self.left -= 1
            return True


class Counting(TcpProxy):
    """Counts round trips: how often a client spoke after the server had.

    Args:
        host: of the server.
        port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.trips = 0

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Pass all on, and watch whose turn it is."""
        answered = threading.Event()
        answered.set()

        def to_server() -> None:
            while data := client.recv(65_536):
                if answered.is_set():
                    answered.clear()
                    with self.lock:
                        self.trips += 1
                server.sendall(data)

        def to_client() -> None:
            while data := server.recv(65_536):
                answered.set()
                client.sendall(data)

        return to_server, to_client


def shut(connection: socket.socket) -> None:
    """End both directions of a connection that another thread may be using."""
    with suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)


def _end(connection: socket.socket) -> None:
    shut(connection)
    connection.close()
