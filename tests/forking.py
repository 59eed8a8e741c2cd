"""Processes that are forked from a server which has imported everything: there in milliseconds."""

from __future__ import annotations

import multiprocessing

import aiomysql  # noqa: F401 - all drivers, so that a process finds them imported
import aiosqlite  # noqa: F401 - as above
import alembic.command  # noqa: F401 - as above
import asyncpg  # noqa: F401 - as above
import psycopg  # noqa: F401 - as above
import pymysql  # noqa: F401 - as above
import sqlalchemy.dialects.mysql.aiomysql
import sqlalchemy.dialects.postgresql.asyncpg
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.aiosqlite
import sqlalchemy.ext.asyncio  # noqa: F401 - as above

import tests.servers  # noqa: F401 - what tests import that give a process its work

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__])
