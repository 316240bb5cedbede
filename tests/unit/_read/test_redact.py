# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact

CANARY = "c4n4ry-9f27"


@pytest.mark.parametrize(
    "leak",
    [
        f"http://admin:{CANARY}@prometheus:9090/api",
        f"Authorization: Bearer {CANARY}",
        f"authorization: basic {CANARY}=",
        f"--remote-token={CANARY}",
        f"-api-key {CANARY}=",
        f"GET /api/v1/query?query=up&access_token={CANARY}&x=1",
        f'{{"password":"{CANARY}","user":"jane"}}',
        f"client_secret: {CANARY}",
        f'authorization: "{CANARY}"',
        f"--header=Authorization={CANARY}",
        f"--authorization={CANARY}",
        f"Cookie: a=1; session={CANARY}",
        f"Set-Cookie: _oauth2_proxy={CANARY}; Path=/",
        f"http://prometheus:9090/api/v1/query?query=up&key={CANARY}",
        f"http://prometheus:9090/?sig={CANARY}#x",
        f"glsa_{CANARY.replace('-', '')}ABCDEFGH_12345678",
        f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI{CANARY}In0.c2lnbmF0dXJl",
    ],
)
def test_no_secret_survives(leak: str) -> None:
    cleaned = _redact.text(leak) if not leak.startswith("-api-key") else " ".join(_redact.arguments(leak.split()))
    assert CANARY not in cleaned
    assert CANARY.replace("-", "") not in cleaned
    assert _redact.MASK in cleaned


@pytest.mark.parametrize(
    "harmless",
    [
        "--upstream=http://prometheus.monitoring.svc.cluster.local:9090",
        "--label=namespace",
        "--token-file=/var/run/token",
        'up{namespace="secret"}',
        "/api/v1/query?query=up&namespace=secret",
        "outbound|9090||prometheus.monitoring.svc.cluster.local",
        "consent token loses_l7:Service/monitoring/prometheus",
        "--rewrite-host-header-to=prometheus:9090",
        "--set-authorization-header=true",
        "--cookie-secure=false",
        "list authorizationpolicies.security.istio.io: AuthorizationPolicy monitoring/x",
        "/api/v1/label/code=x/values?query=up",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert _redact.text(harmless) == harmless


def test_terminal_and_direction_tricks_become_visible() -> None:
    assert (
        _redact.text("a\x1b[31mred\x1b[0m\r\x07 \u202eevil\nnext\tcolumn")
        == "ared\ufffd\ufffd \ufffdevil\nnext\tcolumn"
    )


def test_a_sentence_cannot_pose_as_a_line_of_ansibles_own() -> None:
    assert _redact.sentence("denied:\r\n\tPLAY RECAP ***\u2028ok=9 ") == "denied:\ufffd PLAY RECAP *** ok=9"


def test_long_texts_are_cut() -> None:
    assert _redact.text("x" * (_redact.LONGEST + 5)).endswith("… (5 more characters)")


def test_plain_reaches_every_depth() -> None:
    hidden = {"a": [{"b": (f"Bearer {CANARY}", 1, None, True)}], f"x\x07{1}": "y"}
    assert _redact.plain(hidden) == {"a": [{"b": ["Bearer ***", 1, None, True]}], "x\ufffd1": "y"}


def test_environment_masks_values_and_keeps_references() -> None:
    reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    entries = [
        {"name": "GF_SECURITY_ADMIN_PASSWORD", "value": CANARY},
        {"name": "DATABASE_URL", "value": f"postgres://u:{CANARY}@db/x"},
        {"name": "TOKEN_FILE", "value": "/var/run/token"},
        {"name": "EMPTY"},
        reference,
    ]
    masked = _redact.environment(entries)
    assert CANARY not in str(masked)
    assert masked[2:] == [{"name": "TOKEN_FILE", "value": "/var/run/token"}, {"name": "EMPTY"}, reference]


def test_plain_masks_command_lines_of_two_words() -> None:
    assert _redact.plain({"after": ["--api-key", CANARY, "--label", "x"]}) == {
        "after": ["--api-key", "***", "--label", "x"]
    }


def test_a_pair_of_name_and_value_is_masked_by_its_name() -> None:
    pairs = [
        {"key": "Authorization", "value": CANARY},
        {"name": "API_TOKEN", "value": CANARY},
        {"key": "x", "value": "y"},
    ]
    assert _redact.document(pairs) == [
        {"key": "Authorization", "value": "***"},
        {"name": "API_TOKEN", "value": "***"},
        {"key": "x", "value": "y"},
    ]
