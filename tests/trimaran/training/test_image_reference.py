from __future__ import annotations

import numpy as np

from trimaran.served.decoding import MEASURES
from trimaran.served.distribution import Feature, Reference
from trimaran.training.image_reference import fixed_bins, reference_of

LABELS = [f"class {number}" for number in range(1000)]


def by_name(reference: Reference) -> dict[str, Feature]:
    return {feature.name: feature for feature in reference.features}


def test_fixed_bins_are_few_and_have_no_rows() -> None:
    found = fixed_bins(LABELS)
    assert tuple(by_name(found.images)) == MEASURES
    assert tuple(by_name(found.answers)) == ("label", "probability")
    for feature in (*found.images.features, *found.answers.features):
        assert not feature.counts
        assert 5 < len(feature.bins) == len(set(feature.bins)) <= 20
    label = by_name(found.answers)["label"]
    assert np.bincount(label.codes(LABELS)).tolist() == [50] * 20


def test_few_classes_have_a_bin_each() -> None:
    label = by_name(fixed_bins(["cat", "dog", "other"]).answers)["label"]
    assert label.bins == ["cat", "dog", "other"]
    assert label.codes(["cat", "dog", "other"]).tolist() == [0, 1, 2]


def test_a_reference_counts_by_tenths_and_by_the_most_frequent_classes() -> None:
    generator = np.random.default_rng(0)
    measures = np.column_stack(
        [
            generator.uniform(0, 20, 500),
            generator.uniform(5, 6, 500),
            np.full(500, 1080),
            [1.5] * 500,
        ]
    )
    best = np.minimum(generator.geometric(0.05, 500), 999)
    probability = generator.random(500).astype(np.float32)
    found = reference_of(measures, best, probability, LABELS)
    images, answers = by_name(found.images), by_name(found.answers)
    for name in ("brightness", "contrast"):
        assert len(images[name].bins) == 10
        assert min(images[name].counts) > 40
    assert (
        dict(zip(images["shorter_side"].bins, images["shorter_side"].counts, strict=True))[
            "850 to 1250"
        ]
        == 500
    )
    numbers, counts = np.unique(best, return_counts=True)
    ranked = sorted(zip(-counts, numbers, strict=True))[:20]
    assert list(answers["label"].values) == [LABELS[number] for _, number in ranked]
    assert list(answers["label"].counts[:-1]) == [-count for count, _ in ranked]
    for feature in (*found.images.features, *found.answers.features):
        assert feature.rows == 500
    expected = np.histogram(probability, np.linspace(0, 1, 11))[0]
    assert list(answers["probability"].counts) == expected.tolist()


def test_a_class_that_is_called_other_is_among_the_others() -> None:
    measures = np.ones((4, 4))
    found = reference_of(measures, np.array([0, 0, 1, 2]), np.ones(4), ["other", "cat", "dog"])
    label = by_name(found.answers)["label"]
    assert dict(zip(label.bins, label.counts, strict=True)) == {"cat": 1, "dog": 1, "other": 2}
