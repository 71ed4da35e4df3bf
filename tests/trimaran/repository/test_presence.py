"""Which servers of a repository are found, and which are refused beside others."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.trimaran.calling import call_trimaran
from trimaran.repository.presence import (
    announce,
    find_server,
    find_servers,
    running_server,
    server_of_name,
    server_secret,
    sole_server,
)
from trimaran.repository.repository import Repository
from trimaran.system.endpoint import Endpoint
from trimaran.system.errors import TrimaranError
from trimaran.system.ports import Ports


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "model_repository")


def announced(stack: ExitStack, repository: Repository, name: str, http: int) -> None:
    """A server that runs: this process stands for its own."""
    ports = Ports(http=http)
    stack.enter_context(announce(repository, os.getpid(), ports, f"secret of {name}", name))


def test_one_without_a_name_comes_before_those_with_one(repository: Repository) -> None:
    with ExitStack() as stack:
        announced(stack, repository, "b", 8100)
        assert [found.name for found in find_servers(repository)] == ["b"]
        assert running_server(repository.root).pid == os.getpid()
        assert server_secret(repository, "b") == "secret of b"
        announced(stack, repository, "", 8000)
        announced(stack, repository, "a", 8200)
        assert [found.name for found in find_servers(repository)] == ["", "a", "b"]
        assert running_server(repository.root).endpoint.http == "127.0.0.1:8000"
        shown = call_trimaran("status", "--repository", repository.root).stdout
        assert f"served by process {os.getpid()} on HTTP port 8000" in shown
        assert f"served by a (process {os.getpid()}) on HTTP port 8200" in shown
    assert find_servers(repository) == []
    assert server_secret(repository, "b") == ""


def test_several_that_all_have_names_are_told_apart_by_their_ports(repository: Repository) -> None:
    with ExitStack() as stack:
        announced(stack, repository, "b", 8100)
        announced(stack, repository, "a", 8200)
        with pytest.raises(TrimaranError, match="by a on HTTP port 8200 and b on HTTP port 8100"):
            find_server(repository)
        given = Endpoint.of(Ports(http=8100, grpc=8101))
        assert running_server(repository.root, given).endpoint == given


def test_servers_of_other_names_run_beside_one_another_and_no_command_alone(
    repository: Repository,
) -> None:
    with ExitStack() as stack:
        for name in ("", "b"):
            stack.enter_context(server_of_name(repository, name))
            announced(stack, repository, name, 8000)
            with pytest.raises(TrimaranError, match="stop that server first, or serve beside it"):
                stack.enter_context(server_of_name(repository, name))
        with pytest.raises(TrimaranError, match="served by the server on HTTP port 8000 and b"):
            stack.enter_context(sole_server(repository))
    with sole_server(repository), pytest.raises(TrimaranError, match="try again when it is done"):
        server_of_name(repository, "b").__enter__()


@pytest.mark.parametrize("name", ["../b", "a/b", ".", "-b", "b" * 33, "b b"])
def test_a_name_that_could_leave_its_folder_is_refused(repository: Repository, name: str) -> None:
    refused = call_trimaran("serve", "--repository", repository.root, f"--name={name}")
    assert refused.status == 2
    assert "cannot name a server" in refused.error
    assert not repository.state.exists()
