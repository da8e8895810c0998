"""``seglock playground``: a page of Gradio's, chosen on the left, answered on the right."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglock.errors import BusyError, SeglockError
from seglock.stages.extras import require_extra
from seglock.stages.playground_answers import Playground

HOST = "127.0.0.1"
_TITLE = (
    "# seglock playground\nOne image, one locked model: with a key, without one, with a wrong one."
)


def run_playground(root: Path, *, port: int | None, say: Callable[[str], None]) -> None:
    """Serve the page on 127.0.0.1 until the process is told to stop.

    port: None for the first free one from 7860 on. Raises ConfigError where the extra ``ui`` is
    missing or no lock is trained, BusyError where the port is in use.
    """
    require_extra("seglock playground", "ui", "gradio")
    playground = Playground(root)
    with contextlib.suppress(KeyboardInterrupt):
        serve_page(playground, port=port, say=say)


def serve_page(playground: Playground, *, port: int | None, say: Callable[[str], None]) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C; what was dropped on it is gone then.

    Raises BusyError where the port, or each of the hundred from 7860 on, is in use.
    """
    with tempfile.TemporaryDirectory(prefix="seglock-playground-") as scratch:
        # Read when Gradio is imported.
        os.environ |= {"GRADIO_TEMP_DIR": scratch, "GRADIO_ANALYTICS_ENABLED": "False"}
        page = build_page(playground)
        try:
            _, address, _ = page.launch(
                server_name=HOST, server_port=port, prevent_thread_lock=True, quiet=True,
                footer_links=[], ssr_mode=False, share=False, show_error=True, run_history=False,
            )  # fmt: skip
        except OSError:
            raise BusyError(
                "the playground needs a free port", got=f"{port or '7860 to 7959'}, in use",
                fix="name another with `--port`",
            ) from None  # fmt: skip
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that scratch is removed
        say(f"playground at {address}; whoever can use this machine can ask it; Ctrl-C stops")
        try:
            threading.Event().wait()
        finally:
            page.close(verbose=False)


def build_page(playground: Playground) -> Any:
    """The page as Gradio's Blocks."""
    import gradio

    def answer(photo: str | None, mask: str | None, lock: str, key: str) -> list[Any]:
        if photo is None:
            raise gradio.Error("Drop an image first.", print_exception=False)
        try:
            shown = playground.show(lock, key, Path(photo), Path(mask) if mask else None)
        except SeglockError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        parts: list[Any] = [shown.encrypted, shown.note]
        for made in shown.answers:
            parts += [gradio.Image(made.picture, label=made.title), made.words]
        return parts

    first = playground.locks[0]
    with gradio.Blocks(title="seglock playground", analytics_enabled=False) as page:
        gradio.Markdown(_TITLE)
        with gradio.Row():
            with gradio.Column(scale=1):
                lock = gradio.Dropdown(playground.locks, value=first, label="Lock")
                key = gradio.Dropdown(playground.keys, value=playground.key_of(first), label="Key")
                photo = gradio.Image(
                    type="filepath", label="Image", sources=["upload", "clipboard"], height=200
                )
                mask = gradio.File(label="True mask, for mean IoU", file_types=[".png"], height=120)
                button = gradio.Button("Predict", variant="primary")
            with gradio.Column(scale=3), gradio.Row():
                outputs = _picture("Encrypted")
                for title in ("Key", "No key", "A wrong key"):
                    outputs += _picture(title)
        if found := playground.examples():
            examples = [[str(image), str(true)] for image, true in found]
            gradio.Examples(examples, [photo, mask], label="Test images of this project")
        lock.change(playground.key_of, lock, key, api_visibility="private")
        button.click(answer, [photo, mask, lock, key], outputs, api_visibility="private")
    return page


def _picture(title: str) -> list[Any]:
    """A picture that is only shown, and the words below it."""
    import gradio

    with gradio.Column(min_width=200):
        image = gradio.Image(
            label=title, format="png", interactive=False, buttons=["fullscreen", "download"]
        )
        return [image, gradio.Markdown()]
