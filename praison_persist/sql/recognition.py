"""Whether a server is what its URL says: some speak the protocol of another database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from praison_persist.errors import ConfigurationError
from praison_persist.sql.dialects import DIALECTS, Driver
from praison_persist.sql.url import Target

__all__ = ["check_server"]


def check_server(engine: sa.Engine, target: Target, driver: Driver) -> None:
    """Let the engine's connections be refused with the right scheme if it is another database."""
    others = [other for other in DIALECTS.values() if other.speaks == target.dialect.name]
    if not others:
        return

    # Before SQLAlchemy asks for the version, which it could not read.
    @event.listens_for(engine, "connect", insert=True)
    def _connect(connection: Any, _record: object) -> None:
        native = getattr(connection, "driver_connection", connection)
        for other in others:
            if driver.reported(native, other.reports):
                connection.close()
                raise ConfigurationError(
                    f"The server at {target.address} is {other.name}, not {target.dialect.name}: "
                    f"write {other.schemes[0]}:// instead of {target.dialect.schemes[0]}://"
                )
