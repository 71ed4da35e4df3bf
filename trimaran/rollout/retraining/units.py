"""The systemd units that ask every hour which models are due to be trained again.

A canary takes as long as its steps, so the service has no time limit. When it is stopped, the
command ends what it started, the candidate's server too, which else would end as if by itself.
`LimitNICE` lets the command train at a lower priority than what is live, and try its run at the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["SERVICE", "TIMER", "units"]

SERVICE, TIMER = "trimaran-retrain.service", "trimaran-retrain.timer"

_SERVICE = """\
[Unit]
Description=Train the models again that are due
Documentation=file://{documents}

[Service]
Type=oneshot
User={user}
WorkingDirectory={folder}
ExecStart={command}
TimeoutStartSec=infinity
KillMode=mixed
Nice=10
LimitNICE=+0
NoNewPrivileges=yes
ProtectSystem=full
"""

_TIMER = """\
[Unit]
Description=Ask every hour which models are due to be trained again

[Timer]
OnCalendar=hourly
RandomizedDelaySec=5min
Persistent=yes

[Install]
WantedBy=timers.target
"""


def units(command: Sequence[str], folder: Path, user: str) -> Mapping[str, str]:
    """The text of each unit by its name.

    `command` is run in `folder`, an absolute path, by `user`; `rollout.toml` says what is due.
    """
    words = " ".join(map(_word, command))
    service = _SERVICE.format(
        documents=_plain(str(folder / "rollout.toml")),
        user=_plain(user),
        folder=_plain(str(folder)),
        command=words,
    )
    return {SERVICE: service, TIMER: _TIMER}


def _word(text: str) -> str:
    """A word of a command line: systemd expands `%` and `$`, and takes quotes and backslashes."""
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return escaped if escaped == text and " " not in text else f'"{escaped}"'


def _plain(text: str) -> str:
    return text.replace("%", "%%")
