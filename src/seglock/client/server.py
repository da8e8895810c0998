"""A locked model at a server: `seglock serve`, or `mlflow models serve` of a package."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.client.http import Connection, Reply
from seglock.errors import ServerError
from seglock.foreign import parse_json
from seglock.serving.description import Description
from seglock.serving.envelope import Envelope, encode
from seglock.steps import has_one_plan, parse_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.client.sealer import Sealer

_MOST_SIDE = 4096
_MOST_ABOUT = 1 << 20
_ABSENT = (404, 405)
_SIDE = re.compile(r"\(-1, 3, ([0-9]{1,6}), \1\)")


class ServerTarget:
    """A described model behind an address. What it says of itself is checked before use.

    It is sent envelopes, or their values, and nothing else: no photo's size, no name, no key.
    """

    def __init__(self, address: str, *, check: bool = True, token: str | None = None) -> None:
        self._at = Connection(address, token)
        self._path = "/predict" if check else "/predict?check=no"
        reply = self._at.ask("/description", most=_MOST_ABOUT)
        self._by_mlflow = reply.status in _ABSENT
        if not (self._by_mlflow or reply.status == 200):
            raise self._at.refusal(reply)
        text = self._described_by_mlflow() if self._by_mlflow else reply.body
        self.description = Description.from_json(text, where=self._at.address)
        self._refuse_open_images()

    def answer(self, values: NDArray[Any], sealer: Sealer) -> NDArray[np.uint8]:
        """Class indices (S, S) of an encrypted image (3, S, S). Raises ServerError."""
        found = self._by_invocation(values) if self._by_mlflow else self._by_png(values, sealer)
        side, count = self.description.image_side, len(self.description.classes)
        if found.shape != (side, side) or int(found.max()) >= count:
            raise self._at.fault("an answer that is no mask of its classes")
        return found

    def _by_png(self, values: NDArray[Any], sealer: Sealer) -> NDArray[np.uint8]:
        from PIL import Image

        assert sealer.key_id is not None
        sent = encode(Envelope(values, sealer.key_id, sealer.lock, sealer.steps))
        most = 2 * values[0].size + (1 << 16)
        reply = self._at.ask(
            self._path, most=most, data=sent, headers={"Content-Type": "image/png"}
        )
        if reply.status != 200:
            raise self._at.refusal(reply)
        try:
            with Image.open(io.BytesIO(reply.body), formats=("PNG",)) as mask:
                if mask.mode != "L" or mask.size != values.shape[1:]:
                    raise ValueError("another mode or size")
                classes: NDArray[np.uint8] = np.asarray(mask)
                return classes
        except Exception as error:  # decoders meet damaged bytes with errors of every kind
            raise self._at.fault("an answer that is no mask") from error

    def _by_invocation(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        most = 8 * values[0].size + (1 << 16)
        body = {"inputs": values[None].tolist()}
        found = self._predictions(self._at.ask("/invocations", most=most, json=body))
        try:
            mask = np.array(found, dtype=np.int64)[0]
            if 0 <= mask.min() <= mask.max() < 256:
                classes: NDArray[np.uint8] = mask.astype(np.uint8)
                return classes
        except (ValueError, TypeError, IndexError, OverflowError):
            pass
        raise self._at.fault("an answer that is no mask")

    def _described_by_mlflow(self) -> str:
        """MLflow wants an image of the model's side with any question, and says which side that
        is where it is another."""
        side = 1
        for _ in range(2):
            empty = np.zeros((1, 3, side, side), int).tolist()
            body = {"inputs": empty, "params": {"describe": True}}
            reply = self._at.ask("/invocations", most=_MOST_ABOUT, json=body)
            wanted = _SIDE.search(reply.body.decode("utf-8", "replace"))
            if reply.status != 400 or not wanted:
                break
            side = min(int(wanted[1]), _MOST_SIDE)
        found = self._predictions(reply)
        found = found[0] if isinstance(found, list) and found else found
        if not isinstance(found, str):
            raise self._at.fault("an answer that describes no model")
        return found

    def _predictions(self, reply: Reply) -> Any:
        if reply.status in _ABSENT:
            raise self._at.fault("neither /description nor /invocations")
        if reply.status != 200:
            raise self._at.refusal(reply)
        try:
            return parse_json(reply.body)["predictions"]
        except (ValueError, KeyError, TypeError):
            raise self._at.fault("an answer without predictions") from None

    def _refuse_open_images(self) -> None:
        """Refuse a model whose images would leave as they are, or as anyone could turn them back:
        a server may say of itself what it likes."""
        about = self.description
        password = about.ffx_password or "from_key"
        if about.key is None or has_one_plan([parse_step(s) for s in about.steps], password):
            raise ServerError(
                "a server's model must have a lock that the key decides: photos would leave "
                "this machine as they are",
                got=f"{about.lock} of steps {', '.join(about.steps) or 'none'}",
                fix="use a package of it on this machine",
            )
        if not 1 <= about.image_side <= _MOST_SIDE:
            raise self._at.fault(f"images of side {about.image_side}")
