"""What the page says of the checker beside NVIDIA's own test repositories.

Their files are no part of this project, so the figures are written down here; the kinds of mistake
that they hold stand as tests in `tests/trimaran/checks`.
"""

from __future__ import annotations

__all__ = ["BESIDE_NVIDIA"]

BESIDE_NVIDIA = """\
## Beside NVIDIA's own test repositories

The server's sources hold repositories for its own tests (`qa/L0_model_config` in \
`triton-inference-server/server`), each with the words of the refusal or with the completed \
configuration. 462 were rebuilt from stored copies of those files and given to `trimaran \
check`: the configurations and the `model.py` files with the same content, some of them, \
whose copy is not stored, after a neighbour's and the words that are expected, and in place \
of the model files, which lie elsewhere, an ONNX file of the same names, types and shapes, \
an archive as TorchScript has it, or a file of the right name. 59 of the configurations are \
tried with each of 5 platforms, as NVIDIA does. A missed one passes the checker and is \
refused by the server, a false one the other way round.

| repositories | | agree | missed | false | out of scope |
|---|---:|---:|---:|---:|---:|
| ensembles | 37 | 37 | 0 | 0 | 0 |
| Python models that complete | 30 | 30 | 0 | 0 | 0 |
| ONNX | 17 | 17 | 0 | 0 | 0 |
| PyTorch | 7 | 7 | 0 | 0 | 0 |
| TensorRT | 37 | 19 | 0 | 0 | 18 |
| TensorFlow | 17 | 17 | 0 | 0 | 0 |
| OpenVINO | 5 | 4 | 0 | 0 | 1 |
| refused on every platform | 295 | 288 | 0 | 0 | 7 |
| backends and files | 9 | 9 | 0 | 0 | 0 |
| metrics of a model | 8 | 6 | 0 | 0 | 2 |
| **all** | 462 | 434 | 0 | 0 | 28 |

Nine of the ensembles name steps that are not in their repository; here they are, so that the \
wiring is judged. 108 of all these repositories can be given to the \
`tritonserver` of the table above: 105 end as NVIDIA says, and 3 ask for a GPU. Before this \
comparison 423 agreed, 4 were missed and 7 were false: an ONNX model of sequences was refused for \
the inputs that the server feeds, and a SavedModel for tensors that it tells.

Out of scope is what no file that is looked into tells:

- 18 engines of TensorRT with other names, types, shapes, profiles or formats than the \
configuration has (2 of them are refused for `is_non_linear_format_io`, which `tritonserver` 2.51 \
does not know), and 1 OpenVINO model with more inputs.
- 5 configurations for GPU 42, which a host may have: a warning.
- 2 without a `data_type` that TensorRT and TensorFlow fill in, unless the server is started with \
`--disable-auto-complete-config`.
- 2 that are refused with `model_metrics`, because `tritonserver` 2.51 does not know it, and that \
a newer one serves.

Not rebuilt were tests whose configuration is not stored, TensorFlow and OpenVINO models that only \
the file contradicts, and what earlier releases completed and 2.51 does not: a tensor of an ONNX \
model that is declared by half.

""".splitlines()
