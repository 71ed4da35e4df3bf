"""LightGBM, wherever OpenMP's library is.

LightGBM needs `libgomp.so.1`, which its wheel does not hold and a bare Debian lacks. torch's wheel
holds one, so torch is loaded first.
"""

import torch  # noqa: F401 - brings libgomp.so.1

# isort: split
from lightgbm import LGBMClassifier, LGBMRegressor

__all__ = ["LGBMClassifier", "LGBMRegressor"]
