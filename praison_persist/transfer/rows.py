"""A SQL database as one end of a copy of rows: pages of a session's rows, and what writes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from praison_persist._adapt import background_loop
from praison_persist.sql import session_rows
from praison_persist.sql.session_rows import BESIDE, MESSAGES, Row
from praison_persist.transfer.ends import Summary, summary_of

__all__ = ["Rows", "begins_with", "copy_rows"]


class Rows:
    """The rows of sessions in one database.

    Args:
        database: sync or async.
        page: how many rows are read and written at a time.
    """

    def __init__(self, database: Any, page: int) -> None:
        self._database, self._page = database, page

    def session(self, session_id: str) -> Row | None:
        """Return the row of the session itself."""
        found: Row | None = self._read(session_rows.session_row, session_id)
        return found

    def counts(self, session_id: str) -> dict[str, int]:
        """Return how many rows each part of the session has."""
        found: dict[str, int] = self._read(session_rows.count_rows, session_id)
        return found

    def pages(self, session_id: str, part: str, after: Row | None = None) -> Iterator[list[Row]]:
        """Yield the rows of a part, in the order of their keys; none of them is empty."""
        while True:
            rows = self._read(session_rows.page_rows, session_id, part, after, self._page)
            if rows:
                yield rows
            if len(rows) < self._page:
                return
            after = rows[-1]

    def write(self, op: Callable[..., None], *arguments: Any) -> None:
        """Run an operation of `session_rows` in a transaction of its own."""
        self._wait_for(self._database.run(op, *arguments))

    def summary(self, session_id: str, part: str) -> Summary:
        """Return how many rows a part has, and a hash of them."""
        return summary_of(chain.from_iterable(self.pages(session_id, part)))

    def _read(self, op: Callable[..., Any], *arguments: Any) -> Any:
        return self._wait_for(self._database.read(op, *arguments))

    @staticmethod
    def _wait_for(found: Any) -> Any:
        return background_loop().call(found) if inspect.iscoroutine(found) else found


def begins_with(source: Rows, target: Rows, session_id: str) -> tuple[bool, Row | None]:
    """Return whether all messages of the target are the source's first ones, and the last one."""
    own = chain.from_iterable(source.pages(session_id, MESSAGES))
    last: Row | None = None
    for page in target.pages(session_id, MESSAGES):
        for row in page:
            if next(own, None) != row:
                return False, last
            last = row
    return True, last


def copy_rows(
    source: Rows,
    target: Rows,
    session_id: str,
    after: Row | None,
    on_page: Callable[[int], None],
) -> None:
    """Copy a session page by page; after an interruption it goes on by doing it again.

    Args:
        source: where it is; while it is written to, its newest rows may be left for the next copy.
        target: where it goes.
        session_id: of the session.
        after: the last message that the target has of it, as `begins_with` returned it.
        on_page: is called with the number of messages of each page.
    """
    row = source.session(session_id)
    if row is None:  # deleted meanwhile
        return
    target.write(session_rows.begin_session, row)
    for rows in source.pages(session_id, MESSAGES, after):
        target.write(session_rows.put_messages, rows)
        row["last_seq"] = max(row["last_seq"], rows[-1]["seq"])
        on_page(len(rows))
    for part in BESIDE:
        for rows in source.pages(session_id, part):
            target.write(session_rows.put_rows, part, rows)
            if part == "runs":
                row["last_run_seq"] = max(row["last_run_seq"], *(each["seq"] for each in rows))
    if target.session(session_id) != row:
        target.write(session_rows.finish_session, row)
