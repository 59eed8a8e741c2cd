"""`praison-persist db`: the tables of a SQL database, created, adopted, upgraded and checked."""

from __future__ import annotations

from typing import Annotated

import typer

from praison_persist.cli.options import URL, AsJSON, Schema, TablePrefix
from praison_persist.cli.output import print_json, print_line
from praison_persist.cli.stores import conversation_url
from praison_persist.conversation import supabase_sql
from praison_persist.conversation.supabase_names import DEFAULT_SCHEMA
from praison_persist.errors import ConfigurationError
from praison_persist.sql import migrate
from praison_persist.sql.schema import DEFAULT_PREFIX

__all__ = ["app"]

app = typer.Typer(help="Create, adopt, upgrade and check the tables of a SQL database.")

Supabase = Annotated[
    bool,
    typer.Option(
        "--supabase",
        help="With what Supabase's REST API needs to serve as a conversation store.",
    ),
]


def _dialects() -> list[str]:
    return list(migrate.OFFLINE_DIALECTS)


@app.command()
def upgrade(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    revision: Annotated[str, typer.Option(help="The revision to reach.")] = "head",
    supabase: Supabase = False,
) -> None:
    """Bring the tables to a revision; adopt those of praisonai."""
    prefix = table_prefix or DEFAULT_PREFIX
    if not supabase:
        migrate.upgrade(
            conversation_url(url), revision=revision, table_prefix=prefix, schema=schema
        )
    elif revision != "head":
        raise ConfigurationError("--supabase is for the tables of the newest revision")
    else:
        supabase_sql.install(
            conversation_url(url), table_prefix=prefix, schema=schema or DEFAULT_SCHEMA
        )
    current(url, table_prefix, schema)


@app.command()
def downgrade(
    revision: Annotated[
        str, typer.Option(help="The revision to go back to; base drops the tables.")
    ],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    force: Annotated[bool, typer.Option("--force", help="Drop tables that hold rows.")] = False,
) -> None:
    """Take the tables back to a revision."""
    migrate.downgrade(
        conversation_url(url),
        revision=revision,
        table_prefix=table_prefix or DEFAULT_PREFIX,
        schema=schema,
        force=force,
    )
    current(url, table_prefix, schema)


@app.command()
def current(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    as_json: AsJSON = False,
) -> None:
    """Print the revision of the tables."""
    revision = migrate.current(
        conversation_url(url), table_prefix=table_prefix or DEFAULT_PREFIX, schema=schema
    )
    if as_json:
        print_json({"revision": revision, "head": migrate.HEAD})
    else:
        print_line(revision or "no revision")


@app.command()
def check(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    as_json: AsJSON = False,
) -> None:
    """Compare the tables with those that this package expects; status 1 if they differ."""
    differences = migrate.check(
        conversation_url(url), table_prefix=table_prefix or DEFAULT_PREFIX, schema=schema
    )
    if as_json:
        print_json(differences)
    else:
        for difference in differences:
            print_line(difference)
    if differences:
        raise typer.Exit(1)


@app.command()
def adopt(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> None:
    """Show what adopting praisonai's tables would do; --yes does it."""
    report = migrate.adopt_report(
        conversation_url(url), table_prefix=table_prefix or DEFAULT_PREFIX, schema=schema
    )
    print_line(str(report))
    if yes and report.needed:
        upgrade(url, table_prefix, schema)


@app.command()
def sql(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    revision: Annotated[str, typer.Option(help="The last revision; a:b begins at a.")] = "head",
    supabase: Supabase = False,
    dialect: Annotated[
        str | None,
        typer.Option(
            help=f"Instead of a URL: {', '.join(migrate.OFFLINE_DIALECTS)}.",
            autocompletion=_dialects,
        ),
    ] = None,
) -> None:
    """Print the SQL that creates the tables."""
    prefix = table_prefix or DEFAULT_PREFIX
    if supabase:
        script = supabase_sql.setup_sql(
            table_prefix=prefix, schema=schema or DEFAULT_SCHEMA, revision=revision
        )
    else:
        script = migrate.offline_sql(
            url=None if dialect else conversation_url(url),
            dialect=dialect,
            revision=revision,
            table_prefix=prefix,
            schema=schema,
        )
    print_line(script.rstrip())


@app.command()
def history(as_json: AsJSON = False) -> None:
    """List the revisions of this package, newest first."""
    revisions = migrate.history()
    if as_json:
        print_json(revisions)
        return
    for revision in revisions:
        print_line(f"{revision.revision}  {revision.title}")


@app.command()
def ini() -> None:
    """Print the path of alembic.ini, for alembic -c."""
    print_line(str(migrate.ini_path()))
