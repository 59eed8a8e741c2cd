"""The commands of a state store on DynamoDB."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import botocore.exceptions as failures  # type: ignore[import-untyped]  # it has no types

from praison_persist._flow import Flow, wait
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, PersistError, UnavailableError
from praison_persist.state.driver import bad_cursor, done
from praison_persist.state.dynamodb_errors import (
    FAILURES,
    code_of,
    is_race,
    is_refusal,
    is_too_large,
    is_transient,
)
from praison_persist.state.dynamodb_items import (
    SHARDS,
    Item,
    Items,
    cut,
    number,
    packed,
    revision,
    transactions,
    weight,
)
from praison_persist.state.entries import Change, Entry, EntryDriver, Keep
from praison_persist.state.keys import Glob

__all__ = ["DynamoDBDriver"]

R = TypeVar("R")
Path = tuple[str, ...]  # of an attribute: its name, for a field followed by the field's

_READ_MAX = 100  # keys of BatchGetItem
_PAGE = 1000  # keys
_LIVE = "attribute_exists(rev) AND (attribute_not_exists(expires_at) OR expires_at > :now)"
# Another writer was faster: there is no end to trying, as one of them always succeeds.
_RACE = RetryPolicy(sys.maxsize, 0.005, 0.5)


class DynamoDBDriver(EntryDriver):
    """Reads and writes items.

    Args:
        clients: of boto3.
        table: its name or ARN.
        prefix: of the partition keys.
        address: of the table, for errors.
        retry: of what failed transiently.
        clock: seconds since the epoch.
        auto_create: make the table when it is not there.
    """

    failures = FAILURES

    def __init__(
        self,
        clients: PerProcess[Any],
        table: str,
        prefix: str,
        address: str,
        retry: RetryPolicy,
        clock: Callable[[], float],
        *,
        auto_create: bool,
    ) -> None:
        super().__init__(clock)
        self._clients, self._table, self._layout = clients, table, Items(prefix, address)
        self.address, self.retry, self._auto_create = address, retry, auto_create

    def load(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        """See EntryDriver.load."""
        items = self._items(keys)
        return wait({key: self._layout.entry(key, item) for key, item in items.items()})

    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """See StateDriver.write. What is too large is told before anything is written."""
        items = {
            key: self._layout.item(key, Entry(text, version, {}, self._deadline(ttl)))
            for key, text in texts.items()
        }
        if len(items) == 1:
            ((key, item),) = items.items()
            gone = [name for name in ("expires_at", "ttl") if name not in item]
            sets: dict[Path, Item] = {
                (name,): item[name] for name in item if name not in ("pk", "sk")
            }
            if self._update(key, sets, gone, f"attribute_not_exists(pk) OR ({_LIVE})"):
                return wait(version)
        return super().write(texts, version, ttl)

    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """See StateDriver.write_fields."""
        sets: dict[Path, Item] = {("members", name): packed(text) for name, text in texts.items()}
        sets["rev",] = revision()
        if self._update(key, sets, [], f"attribute_exists(members) AND {_LIVE}"):
            return wait(None)
        return super().write_fields(key, texts)

    def change(self, key: str, change: Change[R]) -> Flow[R]:
        """See EntryDriver.change."""
        return wait(self._change_together({key: change})[0])

    def change_all(self, changes: Mapping[str, Change[R]]) -> Flow[list[R]]:
        """See EntryDriver.change_all."""
        results = []
        for keys in _batches(list(changes), _READ_MAX):
            results += self._change_together({key: changes[key] for key in keys})
        return wait(results)

    def _change_together(self, changes: Mapping[str, Change[R]]) -> list[R]:
        """Change keys at once, unless that is more than a transaction holds."""
        results: dict[str, R] = {}
        pauses = _RACE.delays()
        while True:
            left = [key for key in changes if key not in results]
            items = self._items(left)
            writes = {}
            for key in left:
                outcome = self._outcome(key, items.get(key), changes[key])
                if isinstance(outcome, Keep):
                    results[key] = outcome.result
                else:
                    writes[key] = outcome
            try:
                for keys in transactions(
                    {key: weight(items.get(key, {}), write) for key, (write, _) in writes.items()}
                ):
                    self._write([writes[key][0] for key in keys])
                    results |= {key: writes[key][1] for key in keys}
            except failures.ClientError as error:
                if not is_race(error):
                    raise
                self.sleep(next(pauses))
            else:
                return [results[key] for key in changes]

    def _outcome(
        self, key: str, item: Item | None, change: Change[R]
    ) -> tuple[dict[str, Any], R] | Keep[R]:
        """Return what TransactWriteItems calls an item, and the result."""
        entry = None if item is None else self._layout.entry(key, item)
        outcome = change(entry if entry and entry.is_live(self.clock()) else None)
        if isinstance(outcome, Keep):
            return outcome
        new, result = outcome
        write: dict[str, Any] = {
            "TableName": self._table,
            "ConditionExpression": "attribute_not_exists(pk)" if item is None else "rev = :rev",
        }
        if item is not None:
            write["ExpressionAttributeValues"] = {":rev": item["rev"]}
        if new is None:
            return Keep(result) if item is None else ({"Delete": write | _key(item)}, result)
        return {"Put": write | {"Item": self._layout.item(key, new)}}, result

    def _write(self, writes: Sequence[dict[str, Any]]) -> None:
        if len(writes) > 1:
            self._call("transact_write_items", TransactItems=writes)
        elif "Put" in writes[0]:
            self._call("put_item", **writes[0]["Put"])
        else:
            self._call("delete_item", **writes[0]["Delete"])

    def _update(
        self, key: str, sets: Mapping[Path, Item], gone: Sequence[str], condition: str
    ) -> bool:
        """Set and remove attributes without reading; return False if the condition fails.

        That takes half the time of reading first, and other writers are not in the way.
        """
        names: dict[str, str] = {}

        def path(parts: Sequence[str]) -> str:
            return ".".join(names.setdefault(part, f"#n{len(names)}") for part in parts)

        assigned = ", ".join(f"{path(parts)} = :v{index}" for index, parts in enumerate(sets))
        removed = ", ".join(path([name]) for name in gone)
        values = {f":v{index}": value for index, value in enumerate(sets.values())}
        try:
            self._call(
                "update_item",
                TableName=self._table,
                Key=self._layout.place(key),
                UpdateExpression=f"SET {assigned}" + (f" REMOVE {removed}" if removed else ""),
                ConditionExpression=condition,
                ExpressionAttributeNames={short: name for name, short in names.items()},
                ExpressionAttributeValues=values | {":now": {"N": repr(self.clock())}},
            )
        except failures.ClientError as error:
            if is_too_large(error):
                raise self._layout.too_large(key) from error
            if not is_race(error):
                raise
            return False
        return True

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the shard and the last sort key of the page."""
        cursor = cursor or "0"
        if cursor[0] not in "0123":
            raise bad_cursor(cursor)
        shard, last = int(cursor[0]), cursor[1:]
        size = min(limit or _PAGE, 10 * _PAGE)
        found: list[str] = []
        while shard < SHARDS and len(found) < size:
            try:
                reply = self._query(shard, glob.prefix, last, size - len(found))
            except failures.ClientError as error:
                if not last or code_of(error) != "ValidationException":
                    raise
                raise bad_cursor(cursor) from error
            now = self.clock()
            for item in reply["Items"]:
                expires_at = number(item.get("expires_at"))
                if expires_at is None or now < expires_at:
                    found.append(item.get("name", item["sk"])["S"])
            if "LastEvaluatedKey" in reply:
                last = reply["LastEvaluatedKey"]["sk"]["S"]
            else:
                shard, last = shard + 1, ""
        return wait((found, f"{shard}{last}" if shard < SHARDS else None))

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        self._clients.close()
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See StateDriver.is_transient."""
        return is_transient(error, table_was_made=self._auto_create)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        text, code = self.describe(error), code_of(error)
        if is_refusal(error):
            return UnavailableError(f"{self.address} refused: {text}. Check the AWS credentials")
        if code == "ResourceNotFoundException":
            return BackendError(
                f"{self.address} does not exist; make it, or pass auto_create_table=True"
            )
        if code == "ValidationException" and "key" in text:
            return BackendError(
                f"{self.address}: cannot {action}: {text}. The table was made by another program "
                'if its keys are not "pk" and "sk"; use another table_name='
            )
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See StateDriver.describe."""
        return re.sub(r"//[^/@\s]*@", "//", super().describe(error))

    def _items(self, keys: Sequence[str]) -> dict[str, Item]:
        """Return the items of the keys that have one, as they are now."""
        places = {key: self._layout.place(key) for key in keys}
        if len(keys) == 1:
            reply = self._call(
                "get_item", TableName=self._table, Key=places[keys[0]], ConsistentRead=True
            )
            return {keys[0]: reply["Item"]} if "Item" in reply else {}
        found: dict[tuple[str, str], Item] = {}
        for batch in _batches(list(places.values()), _READ_MAX):
            wanted, pauses = batch, _RACE.delays()
            while wanted:
                reply = self._call(
                    "batch_get_item",
                    RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}},
                )
                for items in reply["Responses"].values():
                    found |= {(item["pk"]["S"], item["sk"]["S"]): item for item in items}
                # What is beyond 16 MB, or beyond the table's capacity at the moment.
                unread = list(reply.get("UnprocessedKeys", {}).values())
                wanted = unread[0]["Keys"] if unread else []
                if wanted:
                    self.sleep(next(pauses))
        by_place = {key: found.get((at["pk"]["S"], at["sk"]["S"])) for key, at in places.items()}
        return {key: item for key, item in by_place.items() if item is not None}

    def _query(self, shard: int, prefix: str, last: str, limit: int) -> Any:
        partition = self._layout.partition(shard)
        condition, values = "pk = :pk", {":pk": partition}
        if prefix:
            condition += " AND begins_with(sk, :sk)"
            values[":sk"] = {"S": cut(prefix)}
        start = {"ExclusiveStartKey": {"pk": partition, "sk": {"S": last}}} if last else {}
        return self._call(
            "query",
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ProjectionExpression="sk, #name, expires_at",
            ExpressionAttributeNames={"#name": "name"},
            ConsistentRead=True,
            Limit=limit,
            **start,
        )

    def _call(self, operation: str, **arguments: Any) -> Any:
        client = self._clients.get()
        try:
            return getattr(client, operation)(**arguments)
        except failures.ClientError as error:
            if not self._auto_create or code_of(error) != "ResourceNotFoundException":
                raise
        self._create(client)
        return getattr(client, operation)(**arguments)

    def _create(self, client: Any) -> None:
        names = {"pk": "HASH", "sk": "RANGE"}
        try:
            client.create_table(
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": name, "KeyType": kind} for name, kind in names.items()
                ],
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"} for name in names
                ],
            )
            made = True
        except failures.ClientError as error:
            if code_of(error) != "ResourceInUseException":
                raise
            made = False  # by another, at this moment
        client.get_waiter("table_exists").wait(
            TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        if made:
            client.update_time_to_live(
                TableName=self._table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
            )


def _batches(all_of_them: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(all_of_them), size):
        yield all_of_them[start : start + size]


def _key(item: Item) -> dict[str, Item]:
    return {"Key": {"pk": item["pk"], "sk": item["sk"]}}
