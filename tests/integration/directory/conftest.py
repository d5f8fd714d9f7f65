"""Databases for the directory's tests."""

from tests.support.databases import (  # noqa: F401 - pytest finds fixtures by their names here
    _migrated_sqlite,
    database_url,
    empty_database_url,
    engine,
    engine_name,
    postgres,
)
