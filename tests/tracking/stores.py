"""Stores of other versions of MLflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import sqlalchemy
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from medgan.tracking.store import SQLITE


def older_store(path: Path) -> None:
    """Make a store as the MLflow before this one did, with one experiment, `old`."""
    engine = sqlalchemy.create_engine(f"{SQLITE}{path}")
    InitialBase.metadata.create_all(engine)
    settings = _get_alembic_config(f"{SQLITE}{path}")
    alembic.command.upgrade(settings, "head-1")
    engine.dispose()
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('old', 'active')")
