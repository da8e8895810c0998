"""What was measured, as types: each is written to disk and read back by the same class.

May touch: plain values, JSON, the errors of a file that does not fit. May not: measure, draw, MLflow,
torch. MLflow, the report and the terminal are views of these types.
"""
