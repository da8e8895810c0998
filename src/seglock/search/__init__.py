"""The trade-off search: which lock keeps the owner's accuracy and leaves everyone else nothing.

The only room that imports optuna and ray, and only inside the functions that use them. One
coordinator asks and tells; workers compute. May touch: the study's folder under ``.seglock``, the
study's storage, the prepared data, MLflow through ``tracking``. Its keys are made for one trial
each, in the worker's memory, and never stored.
"""
