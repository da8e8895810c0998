"""What was measured, as types: each is written to disk and read back by the same class; the front
and the limits of a study's trials, as pure functions of them.

May touch: plain values, JSON, the error of a file that does not fit. May not: measure, draw,
import torch or MLflow. MLflow, the report and the terminal are views of these types.
"""
