"""Mutations of files: artifacts, version directories, `model.py`, environments, configurations."""

from __future__ import annotations

from random import Random

from google.protobuf import text_format

from proofs.mutations.repositories import Draft, config_of, folder_of, loadable, model_config_of
from trimaran.repository.config import ModelConfig, format_config

__all__ = [
    "mutate_any_field",
    "mutate_artifact",
    "mutate_completion",
    "mutate_directory",
    "mutate_encoding",
    "mutate_environment",
    "mutate_filename",
    "mutate_more_directories",
    "mutate_no_config",
    "mutate_other_file",
    "mutate_text",
    "mutate_version",
]

_FILES = ("", "model.py", "model.onnx", "nothing", "../labels.txt", "1")


_ENVIRONMENTS: tuple[tuple[str, dict[str, bytes]], ...] = (
    ("$$TRITON_MODEL_DIRECTORY/env.tar.gz", {}),
    ("$$TRITON_MODEL_DIRECTORY/env", {}),
    ("$$TRITON_MODEL_DIRECTORY/env", {"env/bin/python": b""}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": b"no archive"}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": b""}),
    ("$$TRITON_MODEL_DIRECTORY/env.zip", {"env.zip": b"PK\x05\x06" + bytes(18)}),
    ("$$TRITON_MODEL_DIRECTORY/env.tar", {"env.tar": bytes(10240)}),
    ("/nowhere/env.tar.gz", {}),
    ("nowhere.tar.gz", {}),
    ("", {}),
)


def mutate_directory(rng: Random, draft: Draft) -> str:
    """Another directory name."""
    name, folder = folder_of(rng, draft)
    del draft.folders[name]
    draft.folders[name + "_renamed"] = folder
    if rng.random() < 0.5 and folder.config is not None:
        folder.config.name = ""
    return f"directory {name}_renamed"


def mutate_artifact(rng: Random, draft: Draft) -> str:
    """A model file that is gone, cut, or elsewhere."""
    folder = rng.choice(sorted((n, f.files) for n, f in draft.folders.items() if loadable(f)))
    name, files = folder
    path = rng.choice(loadable(draft.folders[name]))
    content = files.pop(path)
    match rng.randrange(6):
        case 0:
            files[path.rpartition("/")[0] + "/"] = b""
            what = "removed"
        case 1:
            files[path + ".bak"] = content
            what = "renamed"
        case 2:
            files[path] = b""
            what = "emptied"
        case 3 | 4:
            files[path] = content[: rng.randrange(1, len(content))]
            what = f"cut to {len(files[path])} bytes"
        case _:
            files[path + "/model.py"] = content
            what = "made a directory"
    return f"{name}/{path} {what}"


def mutate_other_file(rng: Random, draft: Draft) -> str:
    """A label or warm-up file that is gone, cut, or grown."""
    files = [
        (name, path)
        for name, folder in sorted(draft.folders.items())
        for path in folder.files
        if not path.endswith((".py", ".onnx", "/"))
    ]
    if not files:
        return ""
    name, path = rng.choice(files)
    content = draft.folders[name].files.pop(path)
    what = rng.choice(["removed", "cut", "grown"])
    if what != "removed":
        draft.folders[name].files[path] = content[:-1] if what == "cut" else content + content
    return f"{name}/{path} {what}"


def mutate_version(rng: Random, draft: Draft) -> str:
    """A version directory of another name, or none."""
    name, folder = folder_of(rng, draft)
    number = rng.choice(
        sorted({path.partition("/")[0] for path in folder.files if path[0] in "12"})
    )
    new = rng.choice(["", "0", "01", "2.tmp", "v1", "3", "4", ".1", "1 copy"])
    for path in [path for path in folder.files if path.startswith(number + "/")]:
        content = folder.files.pop(path)
        if new:
            folder.files[new + path.removeprefix(number)] = content
    return f"{name}/{number} {f'renamed to {new}' if new else 'removed'}"


def mutate_more_directories(rng: Random, draft: Draft) -> str:
    """One more directory, which may look like a version."""
    name, folder = folder_of(rng, draft)
    extra = rng.choice(["3", "0", "01", "2.tmp", "1.old", "v2", "notes", "-3", ".hidden", "3x"])
    if rng.random() < 0.5 and loadable(folder):
        path = loadable(folder)[0]
        folder.files[f"{extra}/{path.partition('/')[2]}"] = folder.files[path]
    else:
        folder.files[f"{extra}/"] = b""
    return f"{name}: directory {extra} added"


def mutate_filename(rng: Random, draft: Draft) -> str:
    """Another file name of the model."""
    config = model_config_of(rng, draft)
    if rng.random() < 0.7:
        config.default_model_filename = rng.choice(_FILES)
    else:
        config.cc_model_filenames["8.0"] = "nothing"
    return f"{config.name} default_model_filename: {config.default_model_filename!r}"


def mutate_text(rng: Random, draft: Draft) -> str:
    """Another text of the configuration."""
    name, folder = folder_of(rng, draft)
    text = format_config(folder.config or ModelConfig())
    place = rng.randrange(len(text))
    match rng.randrange(5):
        case 0:
            folder.text, what = text[:place], f"cut after {place}"
        case 1:
            folder.text, what = text[:place] + text[place + 1 :], f"without character {place}"
        case 2:
            folder.text, what = text + "max_batch: 3\n", "with an unknown field"
        case 3:
            folder.text, what = "", "emptied"
        case _:
            lines = text.splitlines()
            del lines[rng.randrange(len(lines))]
            folder.text, what = "\n".join(lines) + "\n", "without a line"
    return f"{name}/config.pbtxt {what}"


def mutate_encoding(rng: Random, draft: Draft) -> str:
    """The same configuration in other bytes."""
    name, folder = folder_of(rng, draft)
    text = format_config(folder.config or ModelConfig())
    label = 'parameters { key: "label" value { string_value: "%s" } }\n'
    versions = {
        "with a byte order mark": text.encode("utf-8-sig"),
        "in UTF-16": text.encode("utf-16"),
        "in UTF-16 without a mark": text.encode("utf-16-le"),
        "with a comment in Latin-1": b"# pr\xe9vision\n" + text.encode(),
        "with a comment in UTF-8": "# prévision\n".encode() + text.encode(),
        "with a string in Latin-1": text.encode() + (label % "prévision").encode("latin-1"),
        "with a string in UTF-8": text.encode() + (label % "prévision").encode(),
        "with a NUL byte at its end": text.encode() + b"\0",
        "with a NUL byte in a comment": b"# a\0b\n" + text.encode(),
        "with a space that does not break": text.encode() + b"\xc2\xa0",
        "with lines of Windows": text.replace("\n", "\r\n").encode(),
        "with lines of the old Macintosh": text.replace("\n", "\r").encode(),
        "with a control character": text.encode() + b"\x1c\n",
    }
    what = rng.choice(sorted(versions))
    folder.content = versions[what]
    return f"{name}/config.pbtxt {what}"


def mutate_no_config(rng: Random, draft: Draft) -> str:
    """No configuration."""
    name, folder = folder_of(rng, draft)
    folder.config = None
    return f"{name} without config.pbtxt"


def mutate_any_field(rng: Random, draft: Draft) -> str:
    """A field of any message is cleared, wherever it lies."""
    config = config_of(rng, draft)
    messages = [config, *config.input, *config.output, *config.instance_group]
    messages += [*config.model_warmup, *config.ensemble_scheduling.step]
    messages += [config.dynamic_batching] if config.HasField("dynamic_batching") else []
    if config.HasField("sequence_batching"):
        messages += [config.sequence_batching, *config.sequence_batching.control_input]
    message = rng.choice(messages)
    fields = [descriptor.name for descriptor, _ in message.ListFields()]
    if not fields:
        return ""
    field = rng.choice(fields)
    message.ClearField(field)
    return f"{config.name}: {message.DESCRIPTOR.name}.{field} removed"


_CHANGES = (
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_INT32", "dims": [4]}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_FP32", "dims": [5]}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"data_type": "TYPE_FP32"}'),
    ('"data_type": "TYPE_FP32", "dims": [4]}', '"dims": [4]}'),
    ('"name": "x", ', ""),
    ('"dims": [4]}', '"dims": [4], "labels": "no"}'),
    ("set_max_batch_size(8)", "set_max_batch_size(4)"),
    ("set_max_batch_size(8)", "set_max_batch_size(16)"),
    ("        return config\n", ""),
    ("def auto_complete_config", "def complete_config"),
    ("config.add_output(OUTPUT)", "pass"),
    ("config.add_output(OUTPUT)", "config.set_dynamic_batching()"),
    ("config.add_output(OUTPUT)", 'config.set_model_transaction_policy({"a": 1})'),
    ("config.add_output(OUTPUT)", 'config.set_model_transaction_policy({"decoupled": True})'),
    ("config.add_output(OUTPUT)", "[config.add_output(item) for item in [OUTPUT]]"),
)
_TEXTS = (
    "model_transaction_policy { decoupled: false }",
    "model_transaction_policy { decoupled: true }",
    "sequence_batching { }",
    'output { name: "z" }',
    'input { name: "z" }',
    "dynamic_batching { }",
)


def mutate_completion(rng: Random, draft: Draft) -> str:
    """Another completion, or another configuration with it."""
    folder = draft.folders[next(iter(draft.folders))]
    if rng.random() < 0.3 and folder.config is not None:
        text = rng.choice(_TEXTS)
        text_format.Merge(text, folder.config)
        return f"config + {text}"
    source = folder.files["1/model.py"].decode()
    old, new = rng.choice(_CHANGES)
    folder.files["1/model.py"] = source.replace(old, new, 1).encode()
    return f"{old.strip()} to {new.strip()}"


def mutate_environment(rng: Random, draft: Draft) -> str:
    """An environment that is missing or unusable."""
    folder = draft.folders[next(iter(draft.folders))]
    path, files = rng.choice(_ENVIRONMENTS)
    if folder.config is None:
        return ""
    folder.config.parameters["EXECUTION_ENV_PATH"].string_value = path
    folder.files.update(files)
    return f"EXECUTION_ENV_PATH {path!r} with {', '.join(files) or 'no file'}"
