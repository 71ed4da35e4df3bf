"""The interface of every format's exporter, and its failures in one sentence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporters.parity import Run
from exporters.spec import Interface, ModelSpec
from trimaran.repository.config import ModelConfig, add_tensors
from trimaran.system.errors import TrimaranError
from trimaran.system.files import sha256_of

__all__ = ["ExportError", "Exporter"]


class ExportError(TrimaranError):
    """The module cannot be turned into this format."""


class Exporter(ABC):
    """One format: how a module is captured, run in the format's own runtime, and configured."""

    format: str
    """The suffix of the model's name: `onnx`."""
    backend: str
    """The Triton backend that serves it."""
    platform: str = ""
    """Which of the backend's platforms, where it has to be named."""
    file_name: str
    """The file that the backend looks for in a version directory."""
    libraries: tuple[str, ...]
    """Distributions whose versions belong in the manifest."""
    stage: str = "capturing"
    """What takes the time, for the progress."""

    def require(self) -> None:  # noqa: B027 - most formats need nothing of the machine
        """Raise `ExportError` where this machine cannot make the format."""

    @abstractmethod
    def captures(self, spec: ModelSpec, path: Path) -> Iterator[str]:
        """Write the artifact to `path`, once per way of capturing the module.

        Yields the way's name after each; the caller stops at the first that passes the parity
        gate. Raises `ExportError` when no way works.
        """

    @abstractmethod
    def load(self, path: Path, interface: Interface) -> Run:
        """The artifact in its own runtime, as a server loads it: arrays by name in, and out."""

    def load_here(self, path: Path, interface: Interface) -> Run:
        """The artifact in this process, which is what its speed is measured in."""
        return self.load(path, interface)

    @abstractmethod
    def target(self, path: Path) -> Mapping[str, str | int]:
        """What the artifact requires of a server. Raises `ExportError` if that is too much."""

    def digest(self, path: Path) -> str:
        """A digest of the artifact's meaning; of its bytes where a format does not override it."""
        return sha256_of(path)

    def served(self, interface: Interface) -> Interface:
        """The interface under the names that the backend requires."""
        return interface

    def config(self, name: str, interface: Interface, max_batch_size: int) -> ModelConfig:
        """The configuration to start with: one instance, dynamic batching without delay."""
        config = ModelConfig(
            name=name,
            backend=self.backend,
            platform=self.platform,
            max_batch_size=max_batch_size,
        )
        served = self.served(interface)
        add_tensors(config, served.inputs, served.outputs)
        config.instance_group.add(count=1)
        config.dynamic_batching.SetInParent()
        return config
