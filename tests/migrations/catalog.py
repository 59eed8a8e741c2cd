"""Everything that an engine's catalog says about some tables, in an order of its own."""

from __future__ import annotations

from typing import Any

from .databases import MARIADB, POSTGRESQL, SINGLESTORE, Scratch

Catalog = dict[str, list[tuple[Any, ...]]]

_POSTGRESQL = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), l.collname,
               a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = '{schema}'::regnamespace
          AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = '{schema}' ORDER BY 1, 2""",
}
_MARIADB = {
    "tables": """
        SELECT table_name, engine, table_collation FROM information_schema.tables
        WHERE table_schema = DATABASE() ORDER BY 1""",
    "columns": """
        SELECT table_name, column_name, column_type, is_nullable, column_default,
               character_set_name, collation_name FROM information_schema.columns
        WHERE table_schema = DATABASE() ORDER BY 1, 2""",
    "indexes": """
        SELECT table_name, index_name, seq_in_index, column_name, collation, non_unique
        FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3""",
    "keys": """
        SELECT table_name, constraint_name, referenced_table_name, delete_rule
        FROM information_schema.referential_constraints
        WHERE constraint_schema = DATABASE() ORDER BY 1, 2""",
    "checks": """
        SELECT table_name, constraint_name, check_clause
        FROM information_schema.check_constraints
        WHERE constraint_schema = DATABASE() ORDER BY 1, 2""",
}


def catalog(database: Scratch, schema: str = "public") -> Catalog:
    if database.kind == POSTGRESQL:
        queries = {key: query.format(schema=schema) for key, query in _POSTGRESQL.items()}
        return {key: database.rows(query) for key, query in queries.items()}
    if database.kind in (MARIADB, SINGLESTORE):
        return {key: database.rows(query) for key, query in _MARIADB.items()}
    return _sqlite(database)


def _sqlite(database: Scratch) -> Catalog:
    found: Catalog = {
        "objects": database.rows("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2, 3")
    }
    for kind, name, _ in found["objects"]:
        if kind == "table":
            for pragma in ("table_info", "foreign_key_list", "index_list"):
                rows = sorted(database.rows(f"PRAGMA {pragma}('{name}')"), key=repr)
                # The first column is a number in the order of creation.
                found[f"{pragma} {name}"] = [
                    row if pragma == "table_info" else row[1:] for row in rows
                ]
        if kind == "index":
            found[f"index_xinfo {name}"] = database.rows(f"PRAGMA index_xinfo('{name}')")
    return found
