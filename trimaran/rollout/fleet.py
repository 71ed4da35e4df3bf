"""The servers of one repository, which a deployment changes one after the other.

    fleet = Fleet([Member(a, client_a, "server a"), Member(b, client_b, "server b")], print)
    fleet.each("switching to release 8", lambda member: member.control.load("greetings"))

prints `server a: switching to release 8`, loads there, and then does the same with the other. An
error names the server that it is of, and ends the round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from trimaran.serving.client import Client
from trimaran.serving.control import Control, LoadTimeoutError
from trimaran.system.errors import TrimaranError

__all__ = ["Fleet", "Member", "takers"]

Say = Callable[[str], None]


@dataclass(eq=False)
class Member:
    """One server. `title` is how messages name it; empty for the only one."""

    control: Control
    client: Client
    title: str = ""
    hangs: bool = False
    """It has a load that does not end, and would not finish another one."""

    def words(self, text: str) -> str:
        """`text`, said of this server."""
        return f"{self.title}: {text}" if self.title else text

    @contextmanager
    def named(self, more: str = "") -> Iterator[None]:
        """Have an error of the block name this server."""
        try:
            yield
        except TrimaranError as error:
            self.hangs = self.hangs or isinstance(error, LoadTimeoutError)
            raise type(error)(self.words(f"{error}{more}")) from error


def takers(known: Mapping[str, Collection[str]], model: str) -> list[str]:
    """The servers that a model's deployment concerns, by the models that each one knows.

    Those that know it; where none does, all of them, for then it is new to them.
    """
    return [server for server, models in known.items() if model in models] or list(known)


class Fleet:
    """All servers that are to change together. `say` is called with each step, in words."""

    def __init__(self, members: Sequence[Member], say: Say) -> None:
        self.members = members
        self.say = say

    @classmethod
    def of_one(cls, control: Control, client: Client, say: Say = lambda step: None) -> Self:
        """The fleet of a single server."""
        return cls([Member(control, client)], say)

    def concerned(self, model: str) -> Self:
        """The servers that a model's deployment concerns, as `takers` has it; it says who is not.

        A server knows a model that it serves, or did, or tried to load. Raises `TrimaranError` that
        names a server which does not answer.
        """
        known: dict[str, set[str]] = {}
        for number, member in enumerate(self.members):
            with member.named("; nothing was changed, as every server must take part"):
                states = member.control.index()
            known[str(number)] = {state.name for state in states if state.state}
        found = [self.members[int(number)] for number in takers(known, model)]
        for member in self.members:
            if member not in found:
                self.say(member.words(f"does not serve {model}, and is left as it is"))
        return type(self)(found, self.say)

    def each(
        self,
        what: str,
        act: Callable[[Member], object],
        members: Iterable[Member] | None = None,
    ) -> None:
        """Do something on one server after the other, by default on all, and say so before.

        Raises the first server's `TrimaranError`, with its title; the others are not tried then.
        """
        for member in self.members if members is None else members:
            self.say(member.words(what))
            with member.named():
                act(member)

    def versions(self, model: str) -> dict[Member, set[int]]:
        """The versions of a model that each server has ready."""
        found = {}
        for member in self.members:
            with member.named():
                found[member] = member.control.ready_versions(model)
        return found

    def serving(self, model: str) -> list[Member]:
        """The servers that have a version of a model ready."""
        return [member for member, versions in self.versions(model).items() if versions]

    def load_again(self, model: str, served: Collection[Member]) -> None:
        """Load a model as it is on disk where it was `served`, and unload it elsewhere.

        What fails on one server must not prevent the others. A server that does not answer, or
        hangs, reads the disk when it starts or goes on.
        """
        for member in self.members:
            if member.hangs or not member.control.is_live():
                continue
            with suppress(TrimaranError):
                if member in served:
                    member.control.load(model)
                else:
                    member.control.unload(model)
