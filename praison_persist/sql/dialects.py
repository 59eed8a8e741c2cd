"""The SQL databases, one row of data each: no other module asks which database it talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

__all__ = ["DIALECTS", "Appending", "Cluster", "Dialect", "Driver", "flag"]


@dataclass(frozen=True, slots=True)
class Driver:
    """A DBAPI driver.

    Attributes:
        name: as SQLAlchemy spells it behind the plus of a URL.
        module: what to import to find out whether it is installed.
        extra: of this package, that installs it.
        is_async: serves asyncio (psycopg serves both colours and has two rows).
        connect_args: passed to every connect, unless the URL's query says otherwise.
        query_names: URL query keys of the database's own client library -> this driver's name
            ("settings.x": the item x of its dict argument; None: a key it cannot honour).
        query_known: all there are, where the driver ignores what it does not know.
        query_types: this driver's names of query keys that its connect does not want as text;
            ValueError says that a value cannot be right.
        query_implies: this driver's names of query keys -> arguments that follow from them, unless
            the URL's query says otherwise.
        query_refused: query keys that this driver would take and not heed; another one serves.
        handshake: for a driver whose connect_timeout ends with the TCP connection, so that it waits
            for ever for the greeting of a server that hangs: "read_timeout", the argument that
            limits each read, or "async_creator_fn", its connect is to be called within a limit.
        connector: "module.Class" that connects, where the module's own connect would not take the
            argument of `handshake`.
        url_garbles: SQLAlchemy's dialect for it takes credentials and names in a URL apart wrongly,
            and may tell them in an error; they are passed to connect as arguments.
        tls_keys: query keys that ask for TLS, where the driver would go on in clear text if the
            server offers none; such a connection is given up.
        connect_errors: "module:Class" of exceptions that reach us past SQLAlchemy: those of its
            connect, and of a connection that is gone.
        reported: parameter that the server reported when it was connected to; None if it did not.
        sqlalchemy_class: "module:Class" of the SQLAlchemy dialect, where SQLAlchemy has none.
        environment: variables -> arguments that they give where the URL does not.
        one_host: its connect takes one host; of several in a URL, we try each in turn.
        append_args: passed to connect as well, for connections that append alone.
    """

    name: str
    module: str
    extra: str
    is_async: bool
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    query_names: Mapping[str, str | None] = field(default_factory=dict)
    query_known: frozenset[str] | None = None
    query_types: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    query_implies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    query_refused: frozenset[str] = frozenset()
    handshake: str = ""
    connector: str = ""
    url_garbles: bool = False
    tls_keys: frozenset[str] = frozenset()
    connect_errors: tuple[str, ...] = ()
    reported: Callable[[Any, str], str | None] = lambda _connection, _name: None
    sqlalchemy_class: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    one_host: bool = False
    append_args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cluster:
    """How a server is used that is one of several which all take writes.

    Attributes:
        is_member: a query that has a row where the server is one.
        is_ready: a query that has a row unless the server has to refuse for now.
        not_ready: the code it refuses with; one of the dialect's `elsewhere`.
        identity: a query whose second column tells this run of the server from all others.
        see_commits: what a connection begins with, so that each of its transactions sees all that
            was committed before it on any member.
    """

    is_member: str
    is_ready: str
    not_ready: int
    identity: str
    see_commits: str


@dataclass(frozen=True, slots=True)
class Appending:
    """How messages are appended, where it is faster than by `conversation.add_messages`.

    Attributes:
        appender: "module:Class" of an `appends.Appender`.
        lanes: how many commits of a process may run at once.
        autocommit: on connections of its own, which commit each statement.
        settings: a statement for each of these; not behind a pooler, which would give its effect to
            others.
    """

    appender: str
    lanes: int
    autocommit: bool = False
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What has to be known about one SQL database.

    Attributes:
        name: SQLAlchemy's name of the dialect, as it stands in a URL.
        schemes: URL schemes, before any `+driver`, that mean it; with one, only together.
        drivers: in order of preference.
        cluster_port: what each of several hosts in a URL is completed with; None: one host only.
        replaced_drivers: named in URLs, and served by one of `drivers`.
        update_returning: UPDATE … RETURNING gives the counter; else see `last_insert_id`.
        single_writer: one writing transaction at a time; writers queue in the pool.
        read_options: of transactions that read, so that all their statements see one state.
        transactional_ddl: a failed migration leaves nothing behind.
        retryable: driver codes of failures that a new try may not meet (SQLSTATE, errno or
            SQLite result code), connection losses included.
        refused: codes that mean: the server is there, but not for these credentials, or not
            for writing; reported as unavailable, without trying again.
        adopts: revision 0001 can turn tables of the package praisonai into ours.
        lock_is_table: who migrates holds the lock of a row in a table of ours.
        schemas: a database holds named schemas, which `SQLOptions.schema` chooses from.
        port: written into a URL without one, where the driver's default is another database's.
        registered: what SQLAlchemy finds the drivers' `sqlalchemy_class` by; not `name`, which
            another package may have taken. Empty: SQLAlchemy's own dialect.
        speaks: name of the row whose protocol and drivers it uses. URLs of that row mean this one
            where the host's name ends with one of `hosts`.
        hosts: see `speaks`.
        reports: server parameter that tells it from the row that it `speaks` like.
        conflicts: those of `retryable` after which a migration is run again too; what it has done
            stays, and it goes on from there.
        option_defaults: defaults of SQLOptions that are other than usual.
        refused_drivers: named in URLs and not to be served -> why.
        last_insert_id: where UPDATE has no RETURNING, its answer carries LAST_INSERT_ID(expr);
            else the counter is read back, its row being locked.
        foreign_keys: what refers to a session is refused where there is none, and goes with it;
            else the operations see to both.
        snapshots: with `read_options`, all statements of a transaction that reads see one state;
            else an operation that needs it locks its session.
        skip_locked: SELECT … FOR UPDATE SKIP LOCKED exists.
        sql: name of the dialect whose SQL it has; empty: a dialect of its own.
        begin_write: begins a transaction, where the driver is told not to; empty: it begins them.
        begin_read: the same for one that only reads.
        settings: statements for each connection of a store.
        migration_settings: statements for a connection that migrates, instead; {wait_ms} is how
            long it may wait for its lock.
        pings: a pooled connection may have ended unnoticed.
        local: name of the dialect of a URL without a host; empty: a server on this machine.
        web_hosts: how host names end that mean it in a URL of http or https.
        replicas: can be kept in a file of this process, which the query's local_path names.
        word_queries: what words of the scheme, instead of a driver's name, mean in the query.
        elsewhere: of `retryable`, those that mean: not this server, perhaps another one. The
            connections there are given up.
        cluster: of servers that all take writes, if there are such.
        replica_query: what the query of a URL of several replicas is completed with; None: there
            are no replicas.
        position: a query for how far a server's log goes, as a number: what a primary wrote, what
            a replica shows; None: it cannot be told.
        appending: of messages; None: each append is an operation like others.
    """

    name: str
    schemes: tuple[str, ...]
    drivers: tuple[Driver, ...]
    replaced_drivers: frozenset[str]
    cluster_port: int | None
    update_returning: bool
    single_writer: bool
    read_options: Mapping[str, Any]
    transactional_ddl: bool
    retryable: frozenset[str | int]
    refused: frozenset[str | int]
    adopts: bool = True
    lock_is_table: bool = False
    schemas: bool = False
    port: int | None = None
    registered: str = ""
    speaks: str = ""
    hosts: tuple[str, ...] = ()
    reports: str = ""
    conflicts: frozenset[str | int] = frozenset()
    option_defaults: Mapping[str, Any] = field(default_factory=dict)
    refused_drivers: Mapping[str, str] = field(default_factory=dict)
    last_insert_id: bool = True
    foreign_keys: bool = True
    snapshots: bool = True
    skip_locked: bool = True
    sql: str = ""
    begin_write: str = ""
    begin_read: str = ""
    settings: tuple[str, ...] = ()
    migration_settings: tuple[str, ...] = ()
    pings: bool = True
    local: str = ""
    web_hosts: tuple[str, ...] = ()
    replicas: bool = False
    word_queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    elsewhere: frozenset[str | int] = frozenset()
    cluster: Cluster | None = None
    replica_query: Mapping[str, str] | None = None
    position: str | None = None
    appending: Appending | None = None


CONNECT_TIMEOUT_S: Final = 10
BUSY_TIMEOUT_S: Final = 30


def _psycopg(*, is_async: bool) -> Driver:
    return Driver(
        "psycopg",
        "psycopg",
        "postgres",
        is_async=is_async,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        query_names={"pgbouncer": None},  # Prisma's word; see presets.py
        query_types={"prepare_threshold": int},
        reported=lambda connection, name: connection.info.parameter_status(name),
    )


_ASYNCPG = Driver(
    "asyncpg",
    "asyncpg",
    "postgres",
    is_async=True,
    connect_args={"timeout": CONNECT_TIMEOUT_S},
    # asyncpg reads libpq's words only from a DSN, not as keywords.
    query_names={
        "sslmode": "ssl",
        "connect_timeout": "timeout",
        "application_name": "server_settings.application_name",
        "options": "server_settings.options",
        # It reads these only from a URL of its own.
        "sslrootcert": "dsn.sslrootcert",
        "sslcert": "dsn.sslcert",
        "sslkey": "dsn.sslkey",
        "sslcrl": "dsn.sslcrl",
        "channel_binding": None,
        "gssencmode": None,
        "load_balance_hosts": None,
        "keepalives": None,
        "keepalives_idle": None,
        "keepalives_interval": None,
        "keepalives_count": None,
        "pgbouncer": None,
    },
    query_types={
        "timeout": lambda text: float(text) or None,  # libpq: zero is no limit
        "command_timeout": float,
        "statement_cache_size": int,
        "max_cached_statement_lifetime": int,
        "max_cacheable_statement_size": int,
    },
    connect_errors=(
        "asyncpg:PostgresError",
        "asyncpg:InterfaceError",
        # No host takes writes; or "another operation is in progress", of a COMMIT whose connection
        # dies.
        "asyncpg:InternalClientError",
    ),
    reported=lambda connection, name: getattr(connection.get_settings(), name, None),
)
# Only a nested loop over the primary key of the sessions locks these in the order of the
# parameters, as all who append do; and one plan is made for good.
_PLANNING: Final = {
    "plan_cache_mode": "force_generic_plan",
    **dict.fromkeys(("enable_seqscan", "enable_mergejoin", "enable_hashjoin", "jit"), "off"),
}
_planning = ", ".join(
    f"set_config('{name}', '{value}', false)" for name, value in _PLANNING.items()
)
POSTGRESQL: Final = Dialect(
    name="postgresql",
    schemes=("postgresql", "postgres"),
    drivers=(
        _psycopg(is_async=False),
        _ASYNCPG,
        _psycopg(is_async=True),
    ),
    replaced_drivers=frozenset({"psycopg2", "psycopg2cffi", "pg8000"}),
    cluster_port=5432,
    update_returning=True,
    single_writer=False,
    # Its default, READ COMMITTED, gives each statement a snapshot of its own.
    read_options={"isolation_level": "REPEATABLE READ"},
    transactional_ddl=True,
    # PostgreSQL manual, appendix A. 25006: a standby, until the pool finds the new primary.
    retryable=frozenset(
        {"40001", "40P01", "57P01", "57P02", "57P03", "53300", "25006"}
        | {"08000", "08001", "08003", "08004", "08006", "08007"}
    ),
    refused=frozenset({"28000", "28P01", "3D000", "42501", "53100", "53200"}),
    elsewhere=frozenset({"25006"}),
    replica_query={"target_session_attrs": "prefer-standby"},
    # PostgreSQL manual, "Backup Control Functions" and "Recovery Information Functions". What is
    # behind the last flush reaches a standby late, and is no commit unless those are not flushed.
    position="SELECT CAST(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
    "WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
    "ELSE pg_current_wal_flush_lsn() END - '0/0' AS bigint)",
    schemas=True,
    # With one lane, 2 to 8 who append are slower than each on a connection of its own.
    appending=Appending(
        "praison_persist.sql.append_postgresql:PostgreSQLAppender",
        lanes=2,
        autocommit=True,
        settings=f"SELECT {_planning}",
    ),
)


def _of_cockroachdb(driver: Driver, name: str) -> Driver:
    return replace(driver, sqlalchemy_class=f"praison_persist.sql.cockroachdb:{name}")


COCKROACHDB: Final = Dialect(
    name="cockroachdb",
    schemes=("cockroachdb", "cockroach", "crdb"),
    drivers=(
        _of_cockroachdb(_psycopg(is_async=False), "Psycopg"),
        _of_cockroachdb(_ASYNCPG, "Asyncpg"),
        _of_cockroachdb(_psycopg(is_async=True), "Psycopg"),
    ),
    replaced_drivers=POSTGRESQL.replaced_drivers,
    cluster_port=26257,
    update_returning=True,
    single_writer=False,
    # Its default, unless a role or database was set to READ COMMITTED.
    read_options={"isolation_level": "SERIALIZABLE"},
    # cockroachlabs.com/docs/stable/online-schema-changes, "Schema changes within transactions"
    transactional_ddl=False,
    # 40003, "result is ambiguous": the commit may have happened, and the same write again is none.
    # 58C00, 58C01: nodes away or not reached (cockroach, pkg/sql/pgwire/pgcode/codes.go).
    retryable=POSTGRESQL.retryable | {"40003", "58C00", "58C01"},
    refused=POSTGRESQL.refused,
    adopts=False,
    lock_is_table=True,
    schemas=True,
    port=26257,
    registered="praison_cockroachdb",
    speaks="postgresql",
    hosts=(".cockroachlabs.cloud", ".crdb.io"),
    reports="crdb_version",
    conflicts=frozenset({"40001", "40003"}),
    # Every transaction is serializable, and loses against another more often than elsewhere.
    option_defaults={"max_retries": 8, "retry_delay": 0.1},
)


_TLS_KEYS = ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname")
# mysql_options(), MYSQL_OPT_SSL_MODE; MariaDB's library checks the host's name in both of the last.
_SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_HOSTNAME_CHECKED = {
    **dict.fromkeys(("true", "yes", "on", "1"), "VERIFY_IDENTITY"),
    **dict.fromkeys(("false", "no", "off", "0"), "VERIFY_CA"),
}


def _ssl_mode(text: str) -> str:
    """Return what mysqlclient calls it, for a value of ssl_mode or of ssl_check_hostname."""
    mode = _HOSTNAME_CHECKED.get(text.lower(), text.upper())
    if mode not in _SSL_MODES:
        raise ValueError(text)
    return mode


def _mysql(
    name: str,
    module: str,
    extra: str = "mysql",
    *,
    is_async: bool,
    query_names: Mapping[str, str | None] = MappingProxyType({}),
    **more: Any,
) -> Driver:
    return Driver(
        name,
        module,
        extra,
        is_async=is_async,
        connect_args={"charset": "utf8mb4", "connect_timeout": CONNECT_TIMEOUT_S},
        # Any other character set would lose text, silently where INSERT IGNORE turns errors into
        # warnings.
        query_names={
            "charset": None,
            "use_unicode": None,
            "load_balance_hosts": None,  # see url.py
            **query_names,
        },
        one_host=True,
        **more,
    )


_MYSQLDB = _mysql(
    "mysqldb",
    "MySQLdb",
    "mysqlclient",
    is_async=False,
    # Its `ssl` has no check_hostname and demands nothing (src/MySQLdb/_mysql.c): where the server
    # offers no TLS it goes on in clear text; with MariaDB's library even with ssl_mode=REQUIRED.
    query_names={"ssl_check_hostname": "ssl_mode"},
    query_types={"ssl_mode": _ssl_mode},
    query_implies={key: {"ssl_mode": "VERIFY_IDENTITY"} for key in _TLS_KEYS},
)
_AIOMYSQL = _mysql(
    "aiomysql",
    "aiomysql",
    is_async=True,
    handshake="async_creator_fn",
    # It wants an SSLContext, and goes on in clear text where the server offers no TLS
    # (aiomysql/connection.py, _request_authentication).
    query_refused=frozenset(_TLS_KEYS),
)
MYSQL: Final = Dialect(
    name="mysql",
    schemes=("mysql", "mariadb"),
    drivers=(
        _mysql(
            "pymysql",
            "pymysql",
            is_async=False,
            handshake="read_timeout",
            # FOUND_ROWS, which SQLAlchemy relies on, and MULTI_STATEMENTS (MySQL manual,
            # "Connection Phase", Capabilities Flags); the other drivers have the latter on.
            append_args={"client_flag": 2 | 1 << 16},
        ),
        _MYSQLDB,
        _AIOMYSQL,
        _mysql("asyncmy", "asyncmy", "asyncmy", is_async=True, handshake="async_creator_fn"),
    ),
    replaced_drivers=frozenset({"mysqlconnector", "cymysql", "mariadbconnector"}),
    cluster_port=3306,
    update_returning=False,
    single_writer=False,
    read_options={},
    transactional_ddl=False,
    # MariaDB and MySQL error references: lock conflicts, connection losses, shutdown, Galera 1047;
    # 1180: a COMMIT that failed, on Galera because the node lost its cluster; 1684: a table that
    # another one is just creating; 2005: mysqlclient's for a name that is not resolved.
    retryable=frozenset(
        {1213, 1205, 1040, 1047, 1053, 1152, 1158, 1159, 1160, 1161, 1180, 1290, 1684, 1927}
    )
    | frozenset({2002, 2003, 2005, 2006, 2013, 2014, 2055}),
    refused=frozenset({1044, 1045, 1049, 1130, 1142, 1021, 1698, 3}),
    # 1047 and 1180: a node without a majority of its cluster; 1290: one that is read-only.
    elsewhere=frozenset({1047, 1180, 1290}),
    # Galera: mariadb.com/docs/galera-cluster, "Galera Cluster System Variables".
    cluster=Cluster(
        is_member="SHOW VARIABLES WHERE Variable_name = 'wsrep_on' AND Value = 'ON'",
        is_ready="SHOW STATUS WHERE Variable_name = 'wsrep_ready' AND Value = 'ON'",
        not_ready=1047,
        identity="SHOW STATUS LIKE 'wsrep_gcomm_uuid'",
        see_commits="SET SESSION wsrep_sync_wait = 7",  # SELECT, UPDATE and DELETE, INSERT
    ),
    replica_query={"load_balance_hosts": "random"},
    appending=Appending("praison_persist.sql.append_mysql:MySQLAppender", lanes=2, autocommit=True),
)


_NO_TRANSACTIONS = "SingleStore's HTTP Data API has no transactions of several statements"
SINGLESTORE: Final = Dialect(
    name="singlestoredb",
    schemes=("singlestoredb",),
    drivers=(
        Driver(
            "mysql",
            "sqlalchemy_singlestoredb",
            "singlestore",
            is_async=False,
            # Left to itself the client commits each statement, and heeds environment variables.
            connect_args={
                "autocommit": False,
                "charset": "utf8mb4",
                "results_type": "tuples",
                "connect_timeout": CONNECT_TIMEOUT_S,
            },
            query_names=dict.fromkeys(
                ("autocommit", "charset", "results_type", "results_format", "driver")
            ),
            handshake="read_timeout",
            connector="singlestoredb.mysql.connection.Connection",
            # sqlalchemy_singlestoredb/base.py, render_as_string: "/" and "+" stay as they are.
            url_garbles=True,
            # singlestoredb/mysql/connection.py, _request_authentication
            tls_keys=frozenset(
                ("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity")
            ),
        ),
    ),
    replaced_drivers=frozenset(),
    refused_drivers=dict.fromkeys(("http", "https"), _NO_TRANSACTIONS),
    cluster_port=None,
    update_returning=False,
    last_insert_id=False,
    foreign_keys=False,
    snapshots=False,
    skip_locked=False,
    adopts=False,
    single_writer=False,
    read_options={},  # there is READ COMMITTED only
    transactional_ddl=False,
    # SingleStore reference, "Row Locking": a deadlock ends as 1205. The others are MySQL's.
    retryable=frozenset({1205, 1213, 1040, 1053, 1158, 1159, 1160, 1161})
    | frozenset({2002, 2003, 2006, 2013, 2014, 2055})
    # Its own: an aggregator cannot reach a leaf; a partition is between two masters.
    | frozenset({1735, 1777}),
    refused=frozenset({1044, 1045, 1049, 1130, 1142, 1698}),
)


def _sqlite(name: str, module: str, *, is_async: bool, **connect_args: Any) -> Driver:
    return Driver(
        name,
        module,
        "",
        is_async=is_async,
        connect_args={"timeout": BUSY_TIMEOUT_S, **connect_args},
        # Connections are handed between threads, whatever a URL says.
        query_names={"check_same_thread": None},
        query_known=frozenset({"timeout", "cached_statements"}),
    )


SQLITE: Final = Dialect(
    name="sqlite",
    schemes=("sqlite",),
    drivers=(
        _sqlite("pysqlite", "sqlite3", is_async=False, check_same_thread=False),
        _sqlite("aiosqlite", "aiosqlite", is_async=True),
    ),
    replaced_drivers=frozenset(),
    cluster_port=None,
    update_returning=True,
    single_writer=True,
    read_options={},
    transactional_ddl=True,
    # sqlite.org/rescode.html: BUSY and LOCKED.
    retryable=frozenset({5, 6}),
    # PERM, READONLY, IOERR, FULL, CANTOPEN, NOTADB
    refused=frozenset({3, 8, 10, 13, 14, 26}),
    begin_write="BEGIN IMMEDIATE",
    begin_read="BEGIN",
    settings=("PRAGMA foreign_keys=ON",),
    # Dropping or renaming a table must not cascade.
    migration_settings=("PRAGMA busy_timeout={wait_ms}", "PRAGMA foreign_keys=OFF"),
    pings=False,
    appending=Appending("praison_persist.sql.append_sqlite:SQLiteAppender", lanes=1),
)


def flag(text: str) -> bool:
    """Return what a word of a URL's query means."""
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


_CLEAR, _ENCRYPTED = {"tls": "0"}, {"tls": "1"}
LIBSQL: Final = Dialect(
    name="libsql",
    schemes=("libsql", "turso", "sqlite+libsql"),
    drivers=(
        Driver(
            "hrana",
            "praison_persist.sql.hrana",
            "",
            is_async=False,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            # authToken and tls are Turso's own words, secure that of sqlalchemy-libsql.
            query_names={"authToken": "auth_token", "secure": "tls"},
            query_known=frozenset({"auth_token", "tls", "connect_timeout", "timeout"}),
            query_types={
                "auth_token": str,
                "tls": flag,
                "connect_timeout": float,
                "timeout": float,
            },
            environment={"TURSO_AUTH_TOKEN": "auth_token"},
            sqlalchemy_class="praison_persist.sql.libsql:LibSQLDialect",
        ),
    ),
    replaced_drivers=frozenset({"http", "https", "ws", "wss", "libsql"}),
    cluster_port=None,
    update_returning=True,
    single_writer=False,
    read_options={},
    transactional_ddl=True,
    # libSQL, libsql-server/src/hrana/stmt.rs and http/stream.rs.
    retryable=frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT"})
    | frozenset({"STREAM_EXPIRED", "TRANSACTION_TIMEOUT", "TRANSACTION_BUSY"}),
    refused=frozenset({"HTTP_400", "HTTP_401", "HTTP_403", "HTTP_404"})
    | frozenset({"SQLITE_AUTH", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_FULL", "BLOCKED"}),
    registered="libsql",
    sql="sqlite",
    begin_write=SQLITE.begin_write,
    begin_read=SQLITE.begin_read,
    settings=SQLITE.settings,
    migration_settings=("PRAGMA foreign_keys=OFF",),
    pings=False,
    local="sqlite",
    web_hosts=(".turso.io",),
    replicas=True,
    word_queries={"http": _CLEAR, "ws": _CLEAR, "https": _ENCRYPTED, "wss": _ENCRYPTED},
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (POSTGRESQL, COCKROACHDB, MYSQL, SINGLESTORE, SQLITE, LIBSQL)
    }
)
