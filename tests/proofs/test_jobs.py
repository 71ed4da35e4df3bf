"""The jobs in this process answer what the served ensembles answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import urllib3

from loadtests.payloads import draw_photographs
from proofs.jobs.customers import draw_customers
from proofs.jobs.job import JobFiles, Photographs, Records, open_job
from proofs.jobs.published import photograph_files, record_files
from tests.running import PROJECT, Served
from trimaran.repository.repository import Repository
from trimaran.system.errors import TrimaranError


def test_photographs_have_the_labels_that_are_served(served: Served) -> None:
    files = draw_photographs(3, seed=1)
    job = open_job(photograph_files(served.repository), threads=2)
    assert isinstance(job, Photographs)
    with served.client() as client:
        images = np.array(files, dtype=object).reshape(-1, 1)
        answer = client.infer("image_classifier", {"IMAGE": images})
    for at, found in enumerate([job.answer(file) for file in files]):
        labels = [label.decode() for label in answer.outputs["LABEL"][at].tolist()]
        assert found["label"] == labels
        np.testing.assert_allclose(
            found["probability"], answer.outputs["PROBABILITY"][at], atol=1e-5
        )
    together = job.answer_many(files)
    assert [found["label"] for found in together] == [job.answer(file)["label"] for file in files]
    with pytest.raises(ValueError, match="not a JPEG"):
        job.answer(b"no photograph")


def test_records_have_the_probabilities_that_are_served(churn_served: Served) -> None:
    records = draw_customers(5, seed=1)
    del records[0]["total_day_minutes"]
    records[1]["state"] = None
    texts = [json.dumps(record).encode() for record in records]
    job = open_job(record_files(churn_served.repository))
    assert isinstance(job, Records)
    answers = [job.answer(text) for text in texts]
    url = churn_served.url("/v2/models/churn_record/generate")
    for text, found in zip(texts, answers, strict=True):
        served = urllib3.request("POST", url, json={"RECORD": text.decode()}).json()
        assert found["churn_probability"] == pytest.approx(served["churn_probability"], abs=1e-6)
        assert found["churn_prediction"] == served["churn_prediction"]
    chances = [found["churn_probability"] for found in answers]
    assert len(set(chances)) == len(chances)
    names = {field["name"] for field in job.transform.data.fields}
    for several in (
        job.answer_many(texts),
        job.answer_records(records),
        [job.answer_checked({**dict.fromkeys(names), **record}) for record in records],
    ):
        assert [found["churn_probability"] for found in several] == pytest.approx(chances, abs=1e-6)
    with pytest.raises(ValueError, match="no field 'tenur'"):
        job.answer(b'{"tenur": 1}')


def test_a_job_is_opened_without_this_projects_heavy_packages(churn_served: Served) -> None:
    """A peer's environment has neither torch nor protobuf."""
    files = record_files(churn_served.repository).to_json()
    code = (
        "import json, sys\n"
        "from proofs.jobs.job import JobFiles, open_job\n"
        "open_job(JobFiles.from_json(sys.argv[1])).answer_many([])\n"
        "import trimaran\n"
        "print(json.dumps([trimaran.__file__,"
        " *sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, files], cwd=PROJECT, capture_output=True, check=True
    )
    ours, *loaded = json.loads(result.stdout)
    assert Path(ours).is_relative_to(churn_served.repository.root), "not the code that is served"
    assert not {*loaded} & {"ensembles", "loadtests", "pandas", "torch", "tritonclient"}
    assert JobFiles.from_json(files).to_json() == files


def test_what_is_not_published_is_named(empty_repository: Repository) -> None:
    with pytest.raises(TrimaranError, match="image_classifier has no release; make one with"):
        photograph_files(empty_repository)
    with pytest.raises(TrimaranError, match="no version of churn_record; publish one with"):
        record_files(empty_repository)
