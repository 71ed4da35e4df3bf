"""A trained `nn.Module` becomes a verified artifact of one format."""

from exporters.spec import ModelSpec

__all__ = ["ModelSpec"]
