"""MariaDB keeps the contracts, over every driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conformance import AsyncConversations, AsyncRuns, SyncConversations, SyncRuns
from .mysql_text import same_on_mysql
from .servers import empty, needs_mysqlclient


class _MariaDB:
    scheme = "mysql"

    @pytest.fixture
    def url(self, mariadb_database: str) -> Iterator[str]:
        yield mariadb_database.replace("mysql://", f"{self.scheme}://")
        empty(mariadb_database)


class _Asyncmy(_MariaDB):
    scheme = "mysql+asyncmy"


class _MySQLdb(_MariaDB):
    scheme = "mysql+mysqldb"


class _SameOnMySQL(_MariaDB):
    @pytest.fixture(autouse=True)
    def statements(self) -> Iterator[None]:
        with same_on_mysql():
            yield


class TestPyMySQL(_SameOnMySQL, SyncConversations):
    pass


@pytest.mark.again
class TestAiomysql(_MariaDB, AsyncConversations):
    pass


@pytest.mark.again
class TestAsyncmy(_Asyncmy, AsyncConversations):
    pass


@needs_mysqlclient
class TestMySQLdb(_MySQLdb, SyncConversations):
    pass


class TestPyMySQLRuns(_SameOnMySQL, SyncRuns):
    pass


class TestAiomysqlRuns(_MariaDB, AsyncRuns):
    pass


class TestAsyncmyRuns(_Asyncmy, AsyncRuns):
    pass


@needs_mysqlclient
class TestMySQLdbRuns(_MySQLdb, SyncRuns):
    pass
