# SPDX-License-Identifier: GPL-3.0-or-later
"""The architecture's laws hold in this checkout, and the checker sees each kind of breach."""

from __future__ import annotations

import architecture
import pytest

UTILS = "plugins/module_utils"
ABSOLUTE = "ansible_collections.meshops.istio_remediation.plugins.module_utils"


def laws_broken(path: str, source: str) -> list[str]:
    return [breach.law for breach in architecture.check({path: source})]


def test_this_checkout_keeps_the_laws() -> None:
    sources = architecture.sources()
    assert sources, "plugins holds no Python file"
    assert [str(breach) for breach in architecture.check(sources)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (f"{UTILS}/_model/path.py", "from .protocol import serves_http"),
        (f"{UTILS}/_model/path.py", "from . import protocol"),
        (f"{UTILS}/_model/path.py", f"from {ABSOLUTE}._model.protocol import serves_http"),
        (f"{UTILS}/_read/fetch.py", "from .._kube.client import Client\nfrom .._model.snapshot import Need"),
        (f"{UTILS}/_read/fetch.py", "import json, time, os"),
        (f"{UTILS}/_verdict/rules/qp101_x.py", "from ..finding import Rule\nfrom ..._proxies import catalog"),
        (f"{UTILS}/_apply/executor.py", "from .._plan.change import Change\ndef go(c):\n    c.patch('x')"),
        (f"{UTILS}/_prove/probe.py", "from .._kube import client"),
        (f"{UTILS}/_prove/__init__.py", ""),
        (f"{UTILS}/_redact.py", "import re"),
        (f"{UTILS}/_verdict/engine.py", "from .._redact import redact"),
        ("plugins/modules/query_path_info.py", f"from {ABSOLUTE}._module import main"),
        ("plugins/modules/query_path_remediation.py", "from ..module_utils._apply import executor"),
        ("plugins/filter/diagnose.py", "from ..module_utils._diagnose import diagnose"),
        (f"{UTILS}/_model/path.py", "import urllib.parse, hashlib, ipaddress, collections.abc\nnow = 3"),
    ],
)
def test_lawful_source_passes(path: str, source: str) -> None:
    assert laws_broken(path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "law"),
    [
        (f"{UTILS}/_model/path.py", "from .._read import fetch", "_model may not import _read.fetch"),
        (f"{UTILS}/_model/path.py", "from .._redact import redact", "_model may not import _redact.redact"),
        (f"{UTILS}/_model/path.py", f"import {ABSOLUTE}._kube.client", "_model may not import _kube.client"),
        (f"{UTILS}/_kube/client.py", "from .._model import snapshot", "_kube may not import _model.snapshot"),
        (f"{UTILS}/_proxies/nginx.py", "def f():\n    from .._verdict import x", "_proxies may not import _verdict.x"),
        (f"{UTILS}/_verdict/rules/qp1_x.py", "from ..._plan import x", "_verdict may not import _plan.x"),
        (f"{UTILS}/_plan/engine.py", "from .._apply import x", "_plan may not import _apply.x"),
        (f"{UTILS}/_apply/executor.py", "from .._plan.engine import x", "_apply may not import _plan.engine.x"),
        (f"{UTILS}/_apply/executor.py", "from .._plan import x", "_apply may not import _plan.x"),
        (f"{UTILS}/_prove/judge.py", "from .probe import x", "_prove.judge may not import _prove.probe.x"),
        (f"{UTILS}/_read/fetch.py", "from .._verdict import x", "_read may not import _verdict.x"),
        (f"{UTILS}/_diagnose.py", "from ._apply import x", "_diagnose may not import _apply.x"),
        (f"{UTILS}/_apply/executor.py", "from .._module import x", "imports _module, which is for files in"),
        ("plugins/filter/f.py", "from ..module_utils._module import x", "imports _module, which is for files in"),
        (f"{UTILS}/_helpers.py", "", "lies in no known room"),
        (f"{UTILS}/_prove/other.py", "", "lies in no known room"),
        ("plugins/modules/query_path_info.py", "from ..module_utils import _apply", "promises to change nothing"),
        ("plugins/modules/query_path_probe.py", "from ..module_utils._apply import x", "promises to change nothing"),
    ],
)
def test_import_against_the_walk_is_seen(path: str, source: str, law: str) -> None:
    broken = laws_broken(path, source)
    assert len(broken) == 1
    assert broken[0].startswith(law)


@pytest.mark.parametrize(
    "room", ["_model/x.py", "_proxies/x.py", "_verdict/rules/x.py", "_plan/x.py", "_prove/judge.py"]
)
@pytest.mark.parametrize(
    ("source", "law"),
    [
        ("import os", "may not import os"),
        ("import os.path", "may not import os.path"),
        ("from time import time", "may not import time.time"),
        ("def f():\n    import socket", "may not import socket"),
        ("from urllib import request", "may not import urllib.request"),
        ("import yaml", "uses the standard library alone, not yaml"),
        ("from ansible.module_utils.basic import AnsibleModule", "uses the standard library alone, not ansible"),
        ("from kubernetes import client", "uses the standard library alone, not kubernetes"),
        ("open('x')", "may not call open()"),
        ("import datetime\ndatetime.datetime.now()", "may not read the clock with .now()"),
    ],
)
def test_input_or_output_in_a_pure_room_is_seen(room: str, source: str, law: str) -> None:
    broken = laws_broken(f"{UTILS}/{room}", source)
    assert len(broken) == 1
    assert law in broken[0]


@pytest.mark.parametrize("file", ["_redact.py", "_result.py"])
def test_shared_helpers_are_pure(file: str) -> None:
    assert laws_broken(f"{UTILS}/{file}", "import os") != []


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
@pytest.mark.parametrize(
    "path", [f"{UTILS}/_read/x.py", f"{UTILS}/_kube/x.py", f"{UTILS}/_plan/x.py", "plugins/modules/x.py"]
)
def test_write_outside_apply_is_seen(path: str, verb: str) -> None:
    assert laws_broken(path, f"def f(c):\n    c.{verb}('x')") == [f"calls .{verb}(); only _apply writes"]


def test_describing_a_write_is_no_write() -> None:
    assert laws_broken(f"{UTILS}/_plan/strategies/x.py", "from .. import change\nchange.patch('x')") == []


def test_client_passed_into_a_pure_room_is_seen() -> None:
    source = "from .. import change\ndef f(client):\n    client.patch(change)"
    assert laws_broken(f"{UTILS}/_plan/strategies/x.py", source) == ["calls .patch(); only _apply writes"]


def test_defining_a_write_verb_is_no_write() -> None:
    assert laws_broken(f"{UTILS}/_kube/client.py", "class C:\n    def patch(self):\n        return 1") == []


@pytest.mark.parametrize(
    ("path", "source", "law"),
    [
        (f"{UTILS}/_read/__init__.py", "X = 1", "__init__.py must be empty"),
        (f"{UTILS}/_read/x.py", "import importlib", "imports importlib"),
        (f"{UTILS}/_kube/x.py", "from pkgutil import iter_modules", "imports pkgutil"),
        ("plugins/modules/x.py", "__import__('y')", "calls __import__()"),
    ],
)
def test_what_ansible_would_not_ship_is_seen(path: str, source: str, law: str) -> None:
    broken = laws_broken(path, source)
    assert len(broken) == 1
    assert broken[0].startswith(law)


def test_breach_names_file_and_line() -> None:
    [breach] = architecture.check({f"{UTILS}/_model/x.py": "a = 1\n\nimport os\n"})
    assert str(breach) == f"{UTILS}/_model/x.py:3: _model does no I/O and may not import os"
