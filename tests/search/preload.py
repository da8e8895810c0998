"""What the children of the kill tests need, imported once."""

import gc

import alembic.command
import optuna
import optuna.storages._rdb.models
import optuna.trial
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite

import seglock.data
import seglock.search.coordinator
import seglock.tracking
import seglock.tracking.runs
import tests.search.small_study

__all__ = ["alembic", "optuna", "seglock", "sqlalchemy", "tests"]
gc.freeze()  # shared with the children, which need not look through it
