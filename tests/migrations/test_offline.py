from __future__ import annotations

import re

import pytest
from sqlalchemy.dialects import mysql

from praison_persist.errors import ConfigurationError
from praison_persist.sql import migrate

from .catalog import catalog
from .databases import MARIADB, POSTGRESQL, Scratch, scratch


@pytest.mark.parametrize("prefix", ["praison_", "p2_"])
def test_the_script_makes_what_an_upgrade_makes(
    database: Scratch, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    script = migrate.offline_sql(dialect=database.kind, table_prefix=prefix)
    feed(script, database)
    assert migrate.current(database.url, table_prefix=prefix) == migrate.HEAD
    assert migrate.check(database.url, table_prefix=prefix) == []
    with scratch(database.kind, tmp_path_factory.mktemp("online")) as online:
        migrate.upgrade(online.url, table_prefix=prefix)
        assert catalog(database) == catalog(online)


def feed(script: str, database: Scratch) -> None:
    """Run a script as a database's own client does: statement by statement, comments skipped."""
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    engine = database.engine()
    if database.kind in (POSTGRESQL, MARIADB):
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in filter(str.strip, "\n".join(lines).split(";\n")):
            connection.exec_driver_sql(statement.rstrip(";"))
        connection.commit()


def test_a_script_for_a_schema_creates_it(postgresql: Scratch) -> None:
    feed(migrate.offline_sql(dialect="postgresql", schema="agents"), postgresql)
    assert migrate.check(postgresql.url, schema="agents") == []


def test_a_url_tells_the_dialect_and_is_not_connected_to() -> None:
    mariadb = migrate.offline_sql(url="mariadb://me:s3cret@nowhere.invalid/x")
    assert mariadb == migrate.offline_sql(dialect="mariadb")
    assert "utf8mb4_nopad_bin" in mariadb
    server = migrate.offline_sql(url="mysql+aiomysql://me:s3cret@nowhere.invalid/x")
    assert server == migrate.offline_sql(dialect=mysql.dialect.name)
    assert "utf8mb4_0900_bin" in server
    assert "s3cret" not in server + mariadb


def test_mysql_gets_what_mariadb_is_tested_with() -> None:
    """Something that MariaDB alone knows; there is no MySQL to be tested."""
    mariadb, server = (migrate.offline_sql(dialect=name) for name in ("mariadb", "mysql"))
    assert not re.search("nopad|RETURNING|IF (NOT )?EXISTS", server)
    # Alembic's own row is read back on MariaDB; the two reserve other words.
    expected = re.sub(r" RETURNING [\w.]+;", ";", mariadb)
    expected = expected.replace("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
    assert server.replace("`", "") == expected.replace("`", "")


def test_a_script_needs_a_dialect() -> None:
    with pytest.raises(ConfigurationError, match="url or a dialect"):
        migrate.offline_sql()
    with pytest.raises(ConfigurationError, match=r"oracle.*postgresql"):
        migrate.offline_sql(dialect="oracle")
