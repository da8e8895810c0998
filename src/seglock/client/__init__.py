"""The half of a locked model that has the key: encrypt, ask, bring the answer back.

Uses no torch but to run a model's weights here. Nothing plain and no key leaves the process.
"""

from seglock.client.client import Client
from seglock.client.prediction import Prediction

__all__ = ["Client", "Prediction"]
