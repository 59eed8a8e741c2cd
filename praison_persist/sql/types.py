"""Column types that give back exactly what went in, on every dialect."""

from __future__ import annotations

from array import array
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from praison_persist import _json
from praison_persist._text import ESCAPED, escaped, unescaped

__all__ = ["ESCAPED", "ID_MAX", "Identifier", "JSONDocument", "LongText", "PackedVector"]

ID_MAX = 255  # characters; utf8mb4 ids of two columns stay below InnoDB's 3072-byte key limit

_MYSQL_FAMILY = ("mysql", "mariadb", "singlestoredb")


def _longtext() -> TypeEngine[str]:
    from sqlalchemy.dialects.mysql import LONGTEXT  # noqa: PLC0415 - where it is used: it takes a while

    # TEXT ends at 65,535 bytes (MySQL manual, "Data Type Storage Requirements").
    return LONGTEXT()


class LongText(sa.types.TypeDecorator[str]):
    """Text of any length, any character, NUL and lone surrogates included."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """LONGTEXT where TEXT is short."""
        if dialect.name in _MYSQL_FAMILY:
            return dialect.type_descriptor(_longtext())
        # Not through the dialect: it would say VARCHAR where PostgreSQL says TEXT.
        return sa.Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the type's interface
        """Escape what no database could hold."""
        return None if value is None else escaped(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the type's interface
        """Undo `process_bind_param`."""
        return None if value is None else unescaped(value)


class JSONDocument(sa.types.TypeDecorator[Any]):
    """A JSON value; Python None is SQL NULL.

    PostgreSQL keeps it as `json`, not `jsonb`: key order, number spelling and escaped NUL survive,
    and reading is 1.5 times faster. Elsewhere it is text, because native JSON types of the MySQL
    family change numbers, CockroachDB's json is jsonb, and SQLite has none.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`json` on PostgreSQL, long text elsewhere."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.JSON(none_as_null=True))
        if dialect.name in _MYSQL_FAMILY:
            return dialect.type_descriptor(_longtext())
        # Not through the dialect: it would say VARCHAR where PostgreSQL says TEXT.
        return sa.Text()

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Serialise, unless the dialect's own JSON type will."""
        if value is None or dialect.name == "postgresql":
            return value
        return _json.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Undo `process_bind_param`."""
        if value is None or dialect.name == "postgresql":
            return value
        return _json.loads(value)


class _Sent(FunctionElement[Any]):
    """A parameter as it is sent; hexadecimal digits to the MySQL family.

    aiomysql 0.3 with PyMySQL 1.2 fails on bytes, and changes a bytearray without a word.
    """

    inherit_cache = True


@compiles(_Sent)
def _compile_sent(element: _Sent, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Sent, "mysql", "mariadb", "singlestoredb")
def _compile_sent_in_hex(element: _Sent, compiler: SQLCompiler, **options: Any) -> str:
    return f"UNHEX({compiler.process(element.clauses, **options)})"


class PackedVector(sa.types.TypeDecorator[bytes]):
    """An embedding: numbers of single precision, in Python as their bytes, little-endian.

    PostgreSQL keeps it as real[], which pgvector's operators take (its README, "Casts").
    """

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """real[] on PostgreSQL, bytes elsewhere, LONGBLOB where BLOB ends at 65,535 of them."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415 - as above

            return dialect.type_descriptor(ARRAY(sa.REAL()))
        if dialect.name in _MYSQL_FAMILY:
            from praison_persist.sql.types_mysql import LongBlob  # noqa: PLC0415 - as above

            return dialect.type_descriptor(LongBlob())
        return dialect.type_descriptor(sa.LargeBinary())

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        """Give PostgreSQL its numbers."""
        if value is None:
            return None
        if dialect.name in _MYSQL_FAMILY:
            return value.hex()
        if dialect.name != "postgresql":
            return value
        numbers = array("f")
        numbers.frombytes(value)
        return numbers.tolist()

    def bind_expression(self, bindparam: sa.BindParameter[Any]) -> Any:
        """See `_Sent`."""
        return _Sent(bindparam)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        """Undo `process_bind_param`."""
        if value is None or dialect.name != "postgresql":
            return value if value is None else bytes(value)
        return array("f", value).tobytes()


def Identifier(length: int = ID_MAX) -> sa.String:  # noqa: N802 - reads as the type it makes
    """An id, compared byte by byte: case, accents and trailing spaces all count.

    The migrations give such columns the collation that makes it so on each database.
    """
    return sa.String(length)
