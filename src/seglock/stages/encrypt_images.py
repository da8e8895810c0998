"""``seglock encrypt`` and ``decrypt``: photos into envelopes and back, one file each.

Imports no torch: encrypting uint8 arrays is NumPy alone, and start-up counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.client.photos import ENVELOPE, Photo, find_photos, open_photo, output_path
from seglock.config import find_lock, load_params
from seglock.errors import ConfigError, DataError
from seglock.keys import PublicRecord, load_key

if TYPE_CHECKING:
    from seglock.client.sealer import Sealer

_MOST_PIXELS = 1 << 24
"""Of an envelope: a side of 4096."""


@dataclass(frozen=True)
class Told:
    """What became of one file, in a line."""

    line: str
    failed: bool = False


@dataclass(frozen=True)
class Work:
    """Files to work on, what to do with each, and in the end: nothing before `results` is asked."""

    photos: Sequence[Photo]
    one: Callable[[Photo], str]
    finish: Callable[[], Sequence[str]] = tuple

    def results(self) -> Iterator[Told]:
        """One a file, in order. A file that cannot be used is told, and the others go on."""
        for photo in self.photos:
            try:
                yield Told(self.one(photo))
            except DataError as error:
                yield Told(f"{photo.path}: {error}", failed=True)


def lock_sealer(lock: str, key: str | None, root: Path) -> Sealer:
    """A lock of the project under its key, which may have another name on this machine.

    Raises ConfigError for a lock without steps, KeyRefusedError for a key that is missing or not
    the one of data/keys.
    """
    from seglock.client.sealer import Sealer
    from seglock.transforms import compose

    params = load_params(root / "params.yaml")
    found = find_lock(params, lock)
    if not found.parsed_steps or found.feature_steps:
        has = ", ".join(found.steps) or "none"
        raise ConfigError(
            "photos are encrypted under a lock whose steps are all on images",
            got=f"{lock}, with steps {has}",
            fix="name another lock of params.yaml",
        )
    record = PublicRecord.from_file(root / "data" / "keys" / f"{found.key}.json")
    secret = load_key(key or found.key, record=record)
    transform = compose(found.steps, secret, found.ffx_password)
    return Sealer(lock, params.data.image_side, transform, secret.id)


def model_sealer(model: str | Path, key: str, token: str | None = None) -> Sealer:
    """The lock of a described model under its key. Raises as `open_target` and `key_for`."""
    from seglock.client.keys import key_for
    from seglock.client.sealer import Sealer
    from seglock.client.targets import open_target

    about = open_target(model, token=token).description
    return Sealer.of(about, key_for(about, key, check=True))


def encrypt_images(given: Sequence[Path], out: Path, sealer: Sealer) -> Work:
    """Photos and folders of them into ``out``/NAME.enc.png, resized as data preparation does.

    Envelopes are as secret as the key: files have mode 0600, and a folder that is made here is
    closed to others and to git.
    """
    from seglock.serving.envelope import encode

    if not out.exists():
        files.private_folder(out)
        files.write_text(out / ".gitignore", "*\n", mode=files.PRIVATE)

    def one(photo: Photo) -> str:
        path = output_path(photo, out, ENVELOPE)
        content = encode(sealer.seal(open_photo(photo.path)))
        files.write_bytes(path, content, mode=files.PRIVATE)
        return f"{photo.path}: {path}"

    return Work(find_photos(given, out), one)


def decrypt_images(given: Sequence[Path], out: Path, sealer: Sealer) -> Work:
    """Envelopes and folders of them into ``out``/NAME.png, each as it was encrypted: resized.

    Raises KeyRefusedError for an envelope of another key.
    """
    from PIL import Image

    from seglock.foreign import read_plain
    from seglock.serving.envelope import decode

    def one(photo: Photo) -> str:
        path = output_path(photo, out, ".png")
        try:
            content = read_plain(photo.path)
        except OSError as error:
            raise DataError(f"{photo.path} must be readable", got=error.strerror) from None
        plain = sealer.unseal(decode(content, most_pixels=_MOST_PIXELS))
        with files.replacing(path, mode=files.PRIVATE) as file:
            Image.fromarray(plain.transpose(1, 2, 0)).save(file, "PNG")
        return f"{photo.path}: {path}"

    return Work(find_photos(given, out, endings=(ENVELOPE,)), one)
