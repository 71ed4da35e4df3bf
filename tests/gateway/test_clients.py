"""What `gateway.toml` gives a client is its own, whatever another issuer calls its clients."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from tritonclient.utils import InferenceServerException

from tests.gateway.door import RECORD, Door, call_inputs, configure

PREDICT = "/models/churn/predict"
COMPANY, PARTNER = "https://company.example.com", "https://partner.example.com"


class Signer:
    """An issuer whose keys are in a file."""

    def __init__(self, issuer: str, folder: Path) -> None:
        self.issuer = issuer
        self._key = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
        self.file = folder / f"{issuer.split('/')[-1]}.json"
        self.file.write_text(json.dumps(KeySet([self._key]).as_dict(private=False)))

    @property
    def table(self) -> str:
        return f'[[issuers]]\nissuer = "{self.issuer}"\njwks = "{self.file}"\n'

    def bearer(self, subject: str) -> dict[str, str]:
        claims = {"iss": self.issuer, "aud": "trimaran", "sub": subject, "exp": time.time() + 600}
        token = jwt.encode({"alg": "ES256", "kid": "one"}, claims, self._key)
        return {"authorization": f"Bearer {token}"}


def test_another_issuers_client_of_the_same_name_has_none_of_it(
    changed: Door, tmp_path: Path
) -> None:
    company, partner = (Signer(issuer, tmp_path) for issuer in (COMPANY, PARTNER))
    client = f'[[clients]]\nsubject = "mobile"\nissuer = "{COMPANY}"\nscopes = ["infer:churn"]\n'
    own = company.table + partner.table + client
    configure(changed, f"{own}requests_per_second = 3\nconcurrent_requests = 5")
    for signer, status, name in ((company, 200, True), (partner, 403, False)):
        headers = signer.bearer("mobile")
        answer = changed.ask("POST", PREDICT, record=RECORD, headers=headers)
        assert answer.status == status
        line = changed.audited(answer.headers["x-request-id"])
        assert (line["subject"] == "mobile") is name
        with changed.calls() as calls:
            if status == 200:
                calls.infer("churn", call_inputs(), headers=headers)
            else:
                with pytest.raises(InferenceServerException, match="does not allow"):
                    calls.infer("churn", call_inputs(), headers=headers)
    # Its limits are its own too: this machine's token of that subject has those of the model.
    changed_headers = changed.bearer("infer:churn", subject="mobile")
    for headers, statuses in ((company.bearer("mobile"), {200, 429}), (changed_headers, {200})):
        answers = [changed.ask("POST", PREDICT, record=RECORD, headers=headers) for _ in range(20)]
        assert {answer.status for answer in answers} == statuses
