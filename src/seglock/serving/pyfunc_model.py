"""The model that MLflow loads from a package: this file is copied into it and run there.

In: integers (B, 3, S, S), encrypted. Out: class indices (B, S, S) uint8. With the parameter
``describe`` the answer is the model's description as JSON, whatever the input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel


class PackagedModel(PythonModel):  # type: ignore[misc,unused-ignore]
    """A package's weights behind MLflow's interface, which the signature in MLmodel describes."""

    _skip_type_hint_validation = True  # MLflow would have types of single inputs

    def load_context(self, context: Any) -> None:
        """Open the weights beside this file."""
        from seglock.serving.runtime import open_runtime

        self._model = open_runtime(Path(context.artifacts["weights"]))

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Class indices, or the description."""
        if (params or {}).get("describe"):
            return self._model.description.to_json()
        return self._model.predict(np.asarray(model_input))


mlflow.models.set_model(PackagedModel())
