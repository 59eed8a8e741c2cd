"""State in DynamoDB: one item a key, written on condition that it is still the one that was read.

The partition key is the store's prefix and one of `SHARDS` digits, from the key's hash; the sort
key is the key. So the keys of a prefix are `SHARDS` queries, in order and with a cursor. Keys that
were partition keys themselves would take a scan of the whole table for every listing. One partition
for all would be limited to 1,000 writes and 3,000 reads a second, until DynamoDB splits it; four
begin with what a new on-demand table allows as a whole, 4,000 and 12,000. There is no secondary
index: a local one would keep each partition key below 10 GB and unsplit, a global one is not
consistent.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3  # type: ignore[import-untyped]  # it has no types
import boto3.session  # type: ignore[import-untyped]  # as boto3
import botocore.exceptions as failures  # type: ignore[import-untyped]  # as boto3
from botocore.config import Config  # type: ignore[import-untyped]  # as boto3

from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.state.base import BaseStateStore
from praison_persist.state.dynamodb_driver import DynamoDBDriver
from praison_persist.state.redis_commands import check_namespace

__all__ = ["DynamoDBStateStore"]

_TABLE = "praisonai_state"

_session_lock = threading.Lock()


class DynamoDBStateStore(BaseStateStore):
    """State in a table of DynamoDB. Shared by threads.

    A key with all its fields takes one item, which holds 400 KB; longer texts are compressed.
    `set_many` writes a hundred keys at once or none of them, in a transaction, which costs twice
    the capacity of single writes. Listing keys reads all that is stored under them.

    Args:
        table_name: a table's name or ARN. Its keys are "pk" and "sk", both strings.
        region: default: AWS_REGION, then what AWS_DEFAULT_REGION or the AWS profile say.
        endpoint_url: of another service than AWS's own; default: AWS_ENDPOINT_URL_DYNAMODB.
        auto_create_table: make the table when it is first used and not there, billed by request,
            with an expiry that deletes what has expired some time later.
        url: "dynamodb://table?region=…&endpoint=…&prefix=…", instead of these.
        prefix: tells the store's keys from those of others in the table.
        socket_timeout: seconds to wait for a connection or a reply.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        clock: seconds since the epoch; decides what has expired.

    Raises:
        ConfigurationError: there is no region, or an argument cannot be right.
    """

    def __init__(
        self,
        table_name: str = _TABLE,
        region: str | None = None,
        endpoint_url: str | None = None,
        auto_create_table: bool = True,
        *,
        url: str | None = None,
        prefix: str = "praison:",
        socket_timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if url is not None:
            if table_name != _TABLE or region or endpoint_url:
                raise ConfigurationError(
                    "url= says where the state is; give it, or table_name=, region= and "
                    "endpoint_url="
                )
            table_name, given = _parse(url)
            region, endpoint_url = given.get("region"), given.get("endpoint")
            prefix = given.get("prefix", prefix)
        _check_table(table_name)
        _check_endpoint(endpoint_url)
        region = _region(region)
        settings = Config(
            connect_timeout=socket_timeout,
            read_timeout=socket_timeout,
            max_pool_connections=50,
            # Ours are the only repetitions.
            retries={"total_max_attempts": 1, "mode": "standard"},
        )

        def connect() -> Any:
            # Of boto3's default session, which an application may have set up; one is made and
            # used by one thread at a time only.
            with _session_lock:
                return boto3.client(
                    "dynamodb", region_name=region, endpoint_url=endpoint_url, config=settings
                )

        place = f" at {urlsplit(endpoint_url).netloc}" if endpoint_url else ""
        super().__init__(
            DynamoDBDriver(
                PerProcess(connect, lambda client: client.close()),
                table_name,
                check_namespace(prefix),
                f"dynamodb table {table_name} in {region}{place}",
                RetryPolicy(max_retries, retry_delay),
                clock,
                auto_create=auto_create_table,
            )
        )


def _parse(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = given.keys() - {"region", "endpoint", "prefix"}
    if (
        parts.scheme != "dynamodb"
        or "@" in parts.netloc
        or parts.path.strip("/")
        or parts.fragment
        or unknown
    ):
        raise ConfigurationError(
            "A DynamoDB URL is dynamodb://table?region=…&endpoint=…&prefix=…, each of these "
            "optional; credentials are taken from where AWS's tools take them"
        )
    return parts.netloc or _TABLE, given


def _check_table(name: object) -> None:
    pattern = r"[a-zA-Z0-9_.-]{3,255}|arn:[a-zA-Z0-9_.:/-]+"
    if not isinstance(name, str) or not re.fullmatch(pattern, name):
        raise ConfigurationError(
            f"{name!r} is no name of a DynamoDB table: 3 to 255 of a-z, A-Z, 0-9, _, - and ."
        )


def _check_endpoint(url: object) -> None:
    if url is None:
        return
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            "endpoint_url= is http://host:port or https://host:port, without credentials"
        )


def _region(region: str | None) -> str:
    region = region or os.environ.get("AWS_REGION")
    if not region:
        try:
            region = (boto3.DEFAULT_SESSION or boto3.session.Session()).region_name
        except failures.BotoCoreError as error:
            raise ConfigurationError(f"AWS's configuration cannot be used: {error}") from error
    if not region or not re.fullmatch(r"[a-z0-9-]+", region):
        raise ConfigurationError(
            f"{region!r} is no region of AWS; say region= or AWS_REGION, such as eu-west-1"
        )
    return region
