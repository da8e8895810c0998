"""The command line: parse, call one stage, turn the outcome into an exit code.

Nothing heavy is imported here at start; each command imports its stage when it runs.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

from seglock.errors import SeglockError, is_homeless

_FREE = "free some space and run again"
_MAY = "let this user write there, or work in a folder of the user's own"
_REFUSED = {
    errno.ENOSPC: _FREE, errno.EDQUOT: _FREE,
    errno.EROFS: _MAY, errno.EACCES: _MAY, errno.EPERM: _MAY,
}  # fmt: skip


def main() -> NoReturn:
    """Run the ``seglock`` command and exit: 0 done, 1 findings, 2 bad input, 3 key refused."""
    if any(name.startswith("SEGLOCK_KEY_") for name in os.environ.keys() - {"SEGLOCK_KEY_DIR"}):
        from seglock.keys.environment import take_keys

        take_keys()
    from seglock.cli.app import app
    from seglock.cli.project import enter_project
    from seglock.cli.terminal import INTERRUPTED, STOPPED, make_output_safe

    make_output_safe()
    try:
        try:
            enter_project()
            app()
        finally:
            sys.stdout.flush()  # what cannot be written is said here, not by Python at its exit
    except SeglockError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(STOPPED, INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) is gone; give Python's own flush at exit nowhere to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (OSError, RuntimeError, KeyError) as error:
        if is_homeless(error):
            fix = "set USER to a name and HOME to a folder that may be written to"
            _fail(f"this user must have a name and a home, got user id {os.getuid()}; {fix}", 2)
        if not isinstance(error, OSError) or error.errno not in _REFUSED:
            raise
        place = f": {error.filename}" if error.filename else ""
        _fail(f"the disk refused a write ({error.strerror}{place}); {_REFUSED[error.errno]}", 2)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    print(f"seglock: {message}", file=sys.stderr)  # noqa: T201 - the one message a user sees
    sys.exit(code)
