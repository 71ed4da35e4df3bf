"""Mutations of how a model is run: backend, batches, instances, versions, sequences."""

from __future__ import annotations

from random import Random

from proofs.mutations.repositories import Draft, config_of, merge, model_config_of

__all__ = [
    "mutate_backend",
    "mutate_batch",
    "mutate_enumeration",
    "mutate_instances",
    "mutate_name",
    "mutate_parameters",
    "mutate_platform",
    "mutate_policy",
    "mutate_queue",
    "mutate_sequences",
    "mutate_transaction",
]


def mutate_name(rng: Random, draft: Draft) -> str:
    """Another name than the directory's."""
    config = config_of(rng, draft)
    config.name = rng.choice(["", "other", config.name.upper(), config.name + " "])
    return f"name: {config.name!r}"


def mutate_backend(rng: Random, draft: Draft) -> str:
    """Another backend, or none."""
    config = config_of(rng, draft)
    config.backend = rng.choice(["", "python", "onnxruntime", "pytorch", "nothing"])
    return f"{config.name} backend: {config.backend!r}"


def mutate_platform(rng: Random, draft: Draft) -> str:
    """Another platform, with a backend or alone."""
    config = config_of(rng, draft)
    config.platform = rng.choice(
        ["", "ensemble", "onnxruntime_onnx", "pytorch_libtorch", "tensorrt_plan", "python", "junk"]
    )
    if rng.random() < 0.3:
        config.backend = ""
    return f"{config.name} platform: {config.platform!r} backend: {config.backend!r}"


def mutate_batch(rng: Random, draft: Draft) -> str:
    """Another largest batch."""
    config = config_of(rng, draft)
    config.max_batch_size = rng.choice([-1, 0, 1, 2, 4, 8, 9, 16])
    return f"{config.name} max_batch_size: {config.max_batch_size}"


def mutate_enumeration(rng: Random, draft: Draft) -> str:
    """A number where a name stands, which may be that of none."""
    number = rng.choice([-3, 1, 2, 9, 99])
    return merge(
        rng,
        draft,
        (
            f'input {{ name: "x" data_type: {number} dims: [ 4 ] }}',
            f"instance_group {{ kind: {number} }}",
            f"dynamic_batching {{ default_queue_policy {{ timeout_action: {number} }} }}",
            f"optimization {{ priority: {number} }}",
            f'model_warmup {{ name: "w" inputs {{ key: "x" value {{ data_type: {number} }} }} }}',
        ),
    )


def mutate_instances(rng: Random, draft: Draft) -> str:
    """Another instance group, or one more."""
    config = config_of(rng, draft)
    if rng.random() < 0.7:
        del config.instance_group[:]
    group = config.instance_group.add(count=rng.choice([-1, 0, 1, 1, 2]))
    group.kind = rng.choice([0, 0, 1, 2, 2, 3])
    if rng.random() < 0.3:
        group.gpus.extend([0])
    if rng.random() < 0.15:
        group.profile.append("0")
    if rng.random() < 0.1:
        group.passive = True
    return f"{config.name} instance_group: {' '.join(str(group).split())}"


def mutate_policy(rng: Random, draft: Draft) -> str:
    """Another version policy."""
    config = config_of(rng, draft)
    policy = config.version_policy
    policy.Clear()
    which = rng.choice(["none", "empty", "all", "latest", "specific", "specific"])
    if which == "empty":
        policy.SetInParent()
    elif which == "all":
        policy.all.SetInParent()
    elif which == "latest":
        policy.latest.SetInParent()
        policy.latest.num_versions = rng.choice([0, 1, 2, 5])
    elif which == "specific":
        policy.specific.SetInParent()
        policy.specific.versions.extend(rng.sample([0, 1, 2, 3, -1], rng.randrange(3)))
    else:
        config.ClearField("version_policy")
    return f"{config.name} version_policy: {which} {' '.join(str(policy).split())}"


def mutate_queue(rng: Random, draft: Draft) -> str:
    """Other queues of the dynamic batcher."""
    config = model_config_of(rng, draft)
    config.dynamic_batching.SetInParent()
    batching = config.dynamic_batching
    for _ in range(rng.choice([1, 1, 2])):
        match rng.randrange(6):
            case 0:
                del batching.preferred_batch_size[:]
                batching.preferred_batch_size.extend([rng.choice([-1, 0, 1, 4, 8, 9])])
            case 1:
                batching.priority_levels = rng.choice([0, 1, 2, 3])
            case 2:
                batching.default_priority_level = rng.choice([0, 1, 2, 3])
            case 3:
                level = rng.choice([0, 1, 2, 3])
                batching.priority_queue_policy[level].max_queue_size = 3
            case 4:
                batching.preserve_ordering = True
            case 5:
                batching.default_queue_policy.timeout_action = rng.choice([0, 1])
                batching.default_queue_policy.default_timeout_microseconds = rng.choice([0, 9])
    return f"{config.name} dynamic_batching: {' '.join(str(batching).split())}"


def mutate_sequences(rng: Random, draft: Draft) -> str:
    """Other sequence batching."""
    start = "control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] }"
    identity = "control { kind: CONTROL_SEQUENCE_CORRID"
    state = 'input_name: "s" output_name: "t" data_type: TYPE_INT32 dims: [ 1 ] initial_state'
    bodies = (
        "",
        "direct { minimum_slot_utilization: 0.5 }",
        "direct { minimum_slot_utilization: 1.5 }",
        "oldest { max_candidate_sequences: 4 preferred_batch_size: [ 16 ] }",
        f'control_input {{ name: "S" {start} }}',
        f'control_input {{ name: "S" {start} {start} }}',
        f'control_input {{ name: "START" {start.replace("START", "END")} }}',
        f'control_input {{ name: "" {start} }}',
        f'control_input {{ name: "S" {start.replace("0, 1", "0")} }}',
        'control_input { name: "S" control { kind: CONTROL_SEQUENCE_READY } }',
        'control_input { name: "C" control { kind: CONTROL_SEQUENCE_CORRID } }',
        f'control_input {{ name: "C" {identity} data_type: TYPE_BOOL }} }}',
        f'state {{ {state} {{ name: "i" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true }} }}',
        f'state {{ {state} {{ name: "i" data_type: TYPE_INT32 dims: [ 2 ] zero_data: true }} }}',
        f'state {{ {state} {{ name: "i" data_type: TYPE_INT64 dims: [ 1 ] zero_data: true }} }}',
        f"state {{ {state} {{ data_type: TYPE_INT32 dims: [ 1 ] zero_data: true }} }}",
        f'state {{ {state} {{ name: "i" data_type: TYPE_INT32 dims: [ 1 ] data_file: "no" }} }}',
        "iterative_sequence: true",
    )
    for folder in draft.folders.values():
        if folder.config is not None and folder.config.backend == "python":
            folder.config.ClearField("dynamic_batching")
    if not any(f.config and f.config.HasField("sequence_batching") for f in draft.folders.values()):
        return ""
    return merge(rng, draft, tuple(f"sequence_batching {{ {body} }}" for body in bodies))


def mutate_transaction(rng: Random, draft: Draft) -> str:
    """Decoupled answers, a response cache, or both."""
    config = config_of(rng, draft)
    texts = []
    if rng.random() < 0.7:
        config.response_cache.enable = True
        texts.append("response_cache")
    if rng.random() < 0.7:
        config.model_transaction_policy.decoupled = True
        texts.append("decoupled")
    return " ".join([config.name, *texts]) if texts else ""


def mutate_parameters(rng: Random, draft: Draft) -> str:
    """A parameter or a runtime that the backend may not know."""
    return merge(
        rng,
        draft,
        (
            'parameters { key: "intra_op_thread_count" value { string_value: "many" } }',
            'parameters { key: "intra_op_thread_count" value { string_value: "2" } }',
            'parameters { key: "execution_mode" value { string_value: "2" } }',
            'parameters { key: "enable_mem_arena" value { string_value: "maybe" } }',
            'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "maybe" } }',
            'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "no" } }',
            'parameters { key: "anything" value { string_value: "goes" } }',
            'runtime: "model.py"',
            'runtime: "nothing"',
        ),
    )
