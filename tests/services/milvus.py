"""A server of gRPC that refuses all callers, as Milvus does those whose token is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc  # type: ignore[import-untyped]  # has no types of its own

__all__ = ["Refusing"]


class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]  # untyped, as above
    """Serves in a thread until its block is left.

    Attributes:
        calls: how many were refused.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def service(self, handler_call_details: Any) -> Any:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, request: bytes, context: Any) -> None:
        del request
        self.calls += 1
        # internal/proxy/authentication_interceptor.go of github.com/milvus-io/milvus.
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
