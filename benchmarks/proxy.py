"""A proxy that puts a server further away, and counts the trips to it."""

from __future__ import annotations

import socket
import time

from tests.proxying import TcpProxy, Ways

__all__ = ["Distant"]

_CHUNK = 65_536


class Distant(TcpProxy):
    """Delays what passes, each way.

    Args:
        host: of the server.
        port: of the server.
        one_way_s: the delay. It is slept in threads: an event loop's timers are too coarse.
    """

    def __init__(self, host: str, port: int, one_way_s: float) -> None:
        super().__init__(host, port)
        self._one_way_s = one_way_s
        self.trips = 0

    def ways(self, client: socket.socket, server: socket.socket) -> Ways:
        """Count a trip when the client speaks after the server did."""
        turn = ["client"]

        def to_server() -> None:
            while data := client.recv(_CHUNK):
                with self.lock:
                    self.trips += turn[0] == "client"
                turn[0] = "asked"
                time.sleep(self._one_way_s)
                server.sendall(data)

        def to_client() -> None:
            while data := server.recv(_CHUNK):
                turn[0] = "client"
                time.sleep(self._one_way_s)
                client.sendall(data)

        return to_server, to_client
