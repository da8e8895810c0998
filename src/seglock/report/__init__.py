"""Result files -> tables and figures: one HTML page, CSV, LaTeX, PNG, JSON.

Reads what the stages wrote and never measures. No torch, no mlflow; matplotlib, jinja2 and PIL
are imported when something is drawn. The only key it may use is the public demonstration key.
"""

from seglock.report.locks import LockResult, read_results

__all__ = ["LockResult", "read_results"]
