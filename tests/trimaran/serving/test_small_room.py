"""How the stubs' shared memory fits into `/dev/shm`; `make fresh` runs these in 64 MB of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.running import Served
from trimaran.repository.config import parse_config
from trimaran.serving.shared_memory import SHARED_MEMORY, free_bytes, plan_regions, stubs_of
from trimaran.system.errors import TrimaranError
from trimaran.training.image_data import photographs

MB = 2**20


@pytest.mark.parametrize(
    ("free_mb", "stubs", "initial_mb", "growth_mb"),
    [
        (24_000, 11, 4, 16),
        (440, 11, 4, 16),
        (439, 11, 1, 1),
        (64, 11, 1, 1),
        (64, 3, 1, 1),
        (11, 11, 1, 1),
        (64, 0, 4, 16),
    ],
)
def test_large_steps_where_every_stub_and_its_successor_can_take_one(
    free_mb: int, stubs: int, initial_mb: int, growth_mb: int
) -> None:
    regions = plan_regions(free_mb * MB, stubs)
    assert (regions.initial, regions.growth) == (initial_mb * MB, growth_mb * MB)
    assert bool(regions.note) == (initial_mb == 1)


ROOM = str(SHARED_MEMORY)


def test_a_small_room_is_reported_with_what_to_set() -> None:
    note = plan_regions(64 * MB, 11).note
    assert note.startswith(f"{ROOM} has 64 MB free for 11 Python stubs")
    assert "docker run --shm-size=1g" in note
    with pytest.raises(TrimaranError, match=f"{ROOM} has 10 MB free, too little for 11"):
        plan_regions(10 * MB, 11)


def test_every_instance_is_a_stub() -> None:
    texts = [
        'backend: "python" instance_group { count: 3 } instance_group { count: 1 }',
        'backend: "python"',
        'backend: "onnxruntime"',
        'backend: "onnxruntime" version_policy { specific { versions: [ 1, 3 ] } }',
        'backend: "tensorrt" instance_group { count: 9 }',
        'platform: "ensemble"',
    ]
    configs = [parse_config(text, "here") for text in texts]
    assert stubs_of(configs, ("python", "onnxruntime")) == 4 + 1 + 2 + 2 * 2


def test_a_batch_of_eight_photographs_is_classified(served: Served) -> None:
    some = list(photographs().values())
    batch = np.array([[some[row % len(some)]] for row in range(8)], dtype=np.object_)
    if free_bytes() < 64 * MB:
        assert served.said("give it more")
    with served.client() as client:
        answer = client.infer("image_classifier", {"IMAGE": batch})
    assert answer.outputs["LABEL"].shape == (8, 5)
