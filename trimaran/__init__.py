"""Export, verify, release and serve PyTorch models with NVIDIA Triton.

```python
import trimaran

trimaran.export("shop/model.py:model", formats=["onnx"])
trimaran.deploy("shop_onnx")
```

Each name is imported when it is first used, so that `import trimaran` loads no torch.
"""

from __future__ import annotations

import os
from typing import Any

# By default, ONNX Runtime's wheel sends data about each model that it loads to Microsoft. It reads
# this variable when it is imported, and child processes inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PLACES = {
    "Answer": "trimaran.rollout.runs.checklist:Answer",
    "Ensemble": "ensembles.pipeline:Ensemble",
    "ModelSpec": "exporters.spec:ModelSpec",
    "Pipeline": "ensembles.pipeline:Pipeline",
    "PythonModel": "ensembles.pipeline:PythonModel",
    "Repository": "trimaran.repository.repository:Repository",
    "Step": "ensembles.pipeline:Step",
    "TrimaranError": "trimaran.system.errors:TrimaranError",
    "add": "exporters.api:add",
    "approve": "trimaran.rollout.runs.api:approve",
    "check": "trimaran.checks.api:check",
    "checklist": "trimaran.rollout.runs.api:checklist",
    "deploy": "trimaran.rollout.api:deploy",
    "deploy_run": "ensembles.deploy_run:deploy_run",
    "export": "exporters.api:export",
    "history": "trimaran.rollout.runs.api:history",
    "ignore": "trimaran.rollout.runs.api:ignore",
    "publish": "ensembles.publish:publish",
    "python_step": "ensembles.python_step:python_step",
    "release": "trimaran.publishing.api:release",
    "review": "trimaran.rollout.runs.api:review",
    "rollback": "trimaran.rollout.api:rollback",
    "run": "trimaran.cli.run_api:run",
    "runs": "trimaran.rollout.runs.api:runs",
    "status": "trimaran.publishing.api:status",
    "tensor": "ensembles.pipeline:tensor",
}
"""Where each name is defined. `__init__.pyi` has the same, for type checkers and editors."""

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """A name of the table, imported now."""
    if name not in _PLACES:
        raise AttributeError(f"module 'trimaran' has no attribute {name!r}")
    from trimaran.system.own_packages import own_module

    module, _, attribute = _PLACES[name].partition(":")
    value = globals()[name] = getattr(own_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
