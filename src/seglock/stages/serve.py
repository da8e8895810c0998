"""``seglock serve``: a package, or one of its files, behind HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.address import is_loopback, project_root
from seglock.errors import ConfigError
from seglock.foreign import read_plain
from seglock.serving.files import ARTIFACTS, ONNX, WEIGHTS, artifact
from seglock.stages.extras import require_extra
from seglock.threads import available_cores, share_cores, visible_cards

if TYPE_CHECKING:
    from seglock.serving.server.limits import ServerLimits, Token

TOKEN_VARIABLE = "SEGLOCK_SERVE_TOKEN"  # noqa: S105 - its name
_SHORTEST = 16
_MOST_THREADS = 8
_LARGE = 32 << 20  # bytes of weights


def serve_model(
    model: str,
    limits: ServerLimits,
    *,
    host: str,
    port: int,
    token_file: Path | None,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Serve ``model`` until the process is told to stop; ``say`` gets the lines for the user.

    Raises ConfigError, BusyError (the port), ModelError and TrackingError (the model).
    """
    require_extra("seglock serve", "serve", "fastapi", "uvicorn", "prometheus_client")
    token = read_token(token_file)
    from seglock.serving.runtime import open_runtime
    from seglock.serving.server.app import Server
    from seglock.serving.server.run import bind, run, shown_address

    with bind(host, port) as listener:
        path = model_path(model, device)
        threads = batch_threads(path, device)
        share_cores(os.environ, threads)  # before torch is loaded
        runtime = open_runtime(path, device=device)
        about = runtime.description
        server = Server(runtime, limits, token, threads=threads)
        server.warm_up()

        def started() -> None:
            key = f"key id {about.key_id}" if about.key_id else "no key"
            say(f"serving {about.lock} ({key}) at {shown_address(listener)}; Ctrl-C stops")
            if token is None and not is_loopback(listener.getsockname()[0]):
                say("whoever reaches this address may ask: name a --token-file, put TLS before it")

        run(server, listener, started=started)
    say("stopped; all that was asked before is answered")


def model_path(model: str, device: str) -> Path:
    """Where the model is that ``--model`` names: what a processor answers fastest with.

    That is a package's ONNX file, one call a batch in which Python has no part. A registered
    version is fetched; ModelError where it is retired, has expired, or is none.
    """
    if model.startswith(("http://", "https://")):
        raise ConfigError(
            "--model must be a package, one of its files or a registered version", got=model,
            fix="clients take a server's address; `seglock package --lock LOCK` makes a package",
        )  # fmt: skip
    path = Path(model)
    if model.startswith("models:/"):
        from seglock.tracking.registry import Registry

        path = Registry(project_root()).fetch(model)
    onnx = path / ARTIFACTS / ONNX
    return onnx if on_processor(device) and onnx.is_file() and find_spec("onnxruntime") else path


def batch_threads(path: Path, device: str) -> int:
    """How many batches are computed at once: one a core, each on its own, for a small network.

    A large one fills all cores with one batch, 1.25 times as fast for FCN-ResNet50 on two. Beside a
    card one batch is decoded while another is computed.
    """
    if not on_processor(device):
        return 2
    large = artifact(path, WEIGHTS, ONNX).stat().st_size > _LARGE
    return 1 if large else min(available_cores(), _MOST_THREADS)


def on_processor(device: str) -> bool:
    """Whether a model is computed without a card."""
    return device == "cpu" or (device == "auto" and not visible_cards())


def read_token(file: Path | None) -> Token | None:
    """The token of a file, or of ``SEGLOCK_SERVE_TOKEN``, which is removed from the environment.

    Raises ConfigError, which never shows it.
    """
    from seglock.serving.server.limits import Token

    place = str(file) if file else TOKEN_VARIABLE
    text = os.environ.pop(TOKEN_VARIABLE, None)
    if file is not None:
        try:
            text = read_plain(file, most=4096).decode("ascii")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "bytes that are no ASCII"
            raise ConfigError(f"{place} must hold the token", got=reason.lower()) from None
    if text is None:
        return None
    text = text.strip()
    if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"{place} must hold one token of {_SHORTEST} characters or more, without spaces",
            got=f"{len(text)} characters",
            fix="make one with `python -c 'import secrets; print(secrets.token_urlsafe())'`",
        )
    return Token(text)
