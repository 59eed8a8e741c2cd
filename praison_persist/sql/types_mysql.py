"""Column types of the MySQL family."""

from __future__ import annotations

from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

__all__ = ["LongBlob"]


class LongBlob(mysql.LONGBLOB):
    """LONGBLOB that is sent as hexadecimal digits."""

    def bind_processor(self, dialect: Dialect) -> None:  # noqa: ARG002 - the type's interface
        """Hand over the digits that `PackedVector` made: SQLAlchemy's own wants bytes."""
        return
