"""What the children of the kill tests need, imported once."""

import optuna
import optuna.importance._fanova._fanova
import optuna.storages.journal
import optuna.trial
import sqlalchemy.dialects.postgresql

import seglock.data
import seglock.search.coordinator
import seglock.search.importance
import seglock.tracking
import seglock.tracking.guard
import tests.search.small_study

__all__ = ["optuna", "seglock", "sqlalchemy", "tests"]
