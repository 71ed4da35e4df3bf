"""Opening a file to overwrite a part of it, and the sentence where this user may not."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from trimaran.system.errors import TrimaranError

__all__ = ["not_allowed", "open_writable", "require_writable"]

_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


def open_writable(path: Path) -> BinaryIO | None:
    """A regular file to read from, whose descriptor also takes `os.pwrite`; None if it is gone.

    Raises `TrimaranError` for another user's file, and for one that is a link or a device.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            raise not_allowed(path) from error
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return os.fdopen(descriptor, "rb")


def require_writable(directory: Path) -> None:
    """Raise `TrimaranError` where this user cannot make files in a directory, as SQLite does."""
    if not os.access(directory, os.W_OK | os.X_OK):
        raise not_allowed(directory)


def not_allowed(path: Path) -> TrimaranError:
    """The error where this user may not read or change a file."""
    owner = _owner(path)
    return TrimaranError(
        f"{path} is {owner}'s, and this user may not read and change it; run the command as "
        f"{owner}: nothing was removed"
    )


def _not_regular(path: Path) -> TrimaranError:
    return TrimaranError(
        f"{path} is a link, a folder or a device in the place of a file; move it away and run the "
        "command again: nothing was removed"
    )


def _owner(path: Path) -> str:
    with suppress(OSError):
        number = path.lstat().st_uid
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return f"user {number}"
    return "another user"
