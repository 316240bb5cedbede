# SPDX-License-Identifier: GPL-3.0-or-later
"""The plays themselves, run by ansible-playbook against a cluster whose every free text is hostile."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from steps import ROOT
from world import NS, World, istio

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    serving,
    status,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import DATASOURCE, load

Object = dict[str, Any]
GRAFANA, PROXY = "grafana-abc-1", "prom-label-proxy-abc-1"
# What nobody writes but a template that is evaluated.
SUM, EVALUATED = "{{ 7 * 191 }}", "1337"
# How the same begins in Markdown too.
BEGINS = "{{ 7 "
# Wiping and colouring the screen, the window's title, a line of Ansible's own, the direction of writing.
CONTROL = "\x1b[2J\x1b[31m\x1b]0;owned\x07\r\nPLAY RECAP ***\nlocalhost : ok=999\u202e\u200b"
MARKUP = '<script>alert(1)</script><img src=x onerror="alert(1)">[click](javascript:alert(1))'
LOOK_ALIKE = "pr\u043emetheus"


class Stage:
    """A cluster behind a socket with hostile text wherever one can be written, and a folder for what plays write."""

    def __init__(self, server: ApiServer, folder: Path, collections: Path) -> None:
        self.server, self.folder, self._collections = server, folder, collections
        self.canary = folder / "canary"
        self.connection = {"K8S_AUTH_HOST": server.url, "K8S_AUTH_API_KEY": "token", "KUBECONFIG": os.devnull}
        templates = f"{SUM} {{{{ lookup('pipe', 'touch {self.canary}') }}}} {{% raw %}}"
        self.text = f"{templates} {CONTROL} {MARKUP} {LOOK_ALIKE}"
        load(server, self._world())
        for stored in server.objects.values():
            stored["metadata"]["annotations"] = {"note": self.text}
            stored["metadata"].setdefault("labels", {})["team"] = self.text
            stored["metadata"]["managedFields"] = [{"manager": self.text, "operation": "Update"}]
        huge = self.text * (256 * 1024 // len(self.text))
        server.stored("Deployment", NS, "prom-label-proxy")["metadata"]["annotations"]["huge"] = huge
        source = {**DATASOURCE, "name": self.text}
        source["jsonData"] = {"customQueryParameters": f"namespace=x&note={self.text}"}
        provisioned = json.dumps({"apiVersion": 1, "datasources": [source]})
        server.stored("ConfigMap", NS, "grafana-datasources")["data"] = {"sources.yaml": provisioned}
        server.commands["/bin/prom-label-proxy", "-help"] = ("", f"-rewrite-host-header-to\n{self.text}", 0)
        line = {"start_time": "2026-11-27T10:00:00.000Z", "response_code": 503, "response_flags": self.text}
        line |= {"authority": self.text, "path": self.text, "upstream_cluster": "PassthroughCluster"}
        server.logs[NS, PROXY, "istio-proxy"] = f"{json.dumps(line)}\n{self.text}\n"

    def _world(self) -> World:
        world = World().proxy_args(lambda args: [*args, f"--header-format={self.text}"])
        route = {"hosts": [self.text, LOOK_ALIKE], "http": [{"route": [{"destination": {"host": self.text}}]}]}
        world.add(istio("VirtualService", "hostile", route), istio("DestinationRule", "hostile", {"host": self.text}))
        rule = {"to": [{"operation": {"paths": [self.text]}}]}
        selector = {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
        world.add(istio("AuthorizationPolicy", self.text, {"selector": selector, "action": "DENY", "rules": [rule]}))
        return world

    def owned(self) -> None:
        """Let a Helm release with a hostile name own the proxy."""
        for plural in ("deployments", "services"):
            metadata = self.server.objects[plural, NS, "prom-label-proxy"]["metadata"]
            metadata["annotations"] |= {"meta.helm.sh/release-name": self.text, "meta.helm.sh/release-namespace": NS}

    def refuse(self, method: str, plural: str) -> None:
        """Answer such requests with a hostile reason, and warn with a hostile text."""

        def fault(request: Request) -> Answer | None:
            if request.method != method or f"/{plural}" not in request.path:
                return None
            said = f'admission webhook "gate" denied the request: {self.text}'
            return Answer(403, status(403, "Forbidden", said), (("Warning", '299 - "{{ 7 * 191 }} \x1b[31m"'),))

        self.server.faults.append(fault)

    def play(self, *arguments: str, **variables: Any) -> str:
        """Run ansible-playbook; return what it printed, which has to be inert, with all that it wrote."""
        written = {entry.name for entry in self.folder.iterdir()}
        known = {
            **self.connection,
            "GRAFANA_TOKEN": "token",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        known |= {"ANSIBLE_INVENTORY_UNPARSED_WARNING": "false", "ANSIBLE_COLLECTIONS_PATH": str(self._collections)}
        given = ["--extra-vars", json.dumps({"grafana_namespace": NS, "remediate_retries": 0, **variables})]
        done = subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", *arguments, *given],
            cwd=ROOT,
            env={**os.environ, **known},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        printed = done.stdout + done.stderr
        assert [line for line in printed.splitlines() if line.startswith("PLAY RECAP")][1:] == [], printed
        assert "ok=999" not in {line.partition(" : ")[2] for line in printed.splitlines()}
        texts = [printed, *((self.folder / name).read_text("utf-8") for name in self._new(written))]
        for text in texts:
            assert_inert(text)
        assert not self.canary.exists(), "a template of the cluster's was evaluated"
        return printed

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Let Grafana answer every query with a hostile error while the block runs."""
        with serving(ApiServer()) as grafana:
            grafana.faults.append(lambda _request: Answer(503, self.text.encode()))
            self.server.forwards[NS, GRAFANA, 3000] = ("127.0.0.1", int(grafana.url.rpartition(":")[2]))
            yield

    def _new(self, before: set[str]) -> list[str]:
        return sorted({entry.name for entry in self.folder.iterdir()} - before)


def assert_inert(text: str) -> None:
    """Nothing in it was evaluated, and nothing moves the cursor, hides or turns around what a person reads."""
    assert EVALUATED not in text
    assert "Traceback" not in text
    assert {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs")} <= {"\n", "\t"}


@pytest.fixture
def stage(server: ApiServer, tmp_path: Path, collections_path: Path) -> Stage:
    return Stage(server, tmp_path, collections_path)


def test_a_diagnosis_is_inert_live_offline_and_in_every_report(stage: Stage) -> None:
    stage.owned()
    snapshot, markdown = stage.folder / "snapshot.json", stage.folder / "report.md"
    report = "{{ diagnose_result | meshops.istio_remediation.query_path_report(form='markdown') }}"
    copied = {"name": "Write", "ansible.builtin.copy": {"content": report, "dest": str(markdown), "mode": "0600"}}
    plays = [
        {"import_playbook": "meshops.istio_remediation.diagnose"},
        {"hosts": "localhost", "gather_facts": False, "tasks": [copied]},
    ]
    (stage.folder / "plays.yml").write_text(json.dumps(plays), encoding="utf-8")
    printed = stage.play(str(stage.folder / "plays.yml"), "--verbose", save_snapshot=str(snapshot))
    assert "failed=0" in printed, printed
    assert f"Helm release {NS}/{SUM}" in printed
    text = markdown.read_text("utf-8")
    assert BEGINS in text
    outside = "".join(text.split("```")[::2])
    assert "<script" not in outside.replace("\\<", "")
    assert "[click](" not in outside
    offline = stage.play("meshops.istio_remediation.diagnose", snapshot=str(snapshot))
    assert "failed=0" in offline, offline
    assert f"Helm release {NS}/{SUM}" in offline


def test_a_diagnosis_of_hostile_manifests_is_inert(stage: Stage) -> None:
    manifests = stage.folder / "manifests"
    manifests.mkdir()
    items = list(stage.server.objects.values())
    (manifests / "all.yaml").write_text(yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": items}), "utf-8")
    printed = stage.play("meshops.istio_remediation.diagnose", "--verbose", snapshot=str(manifests))
    assert "failed=0" in printed, printed
    assert SUM in printed


def test_a_fix_is_inert_in_its_difference_and_in_the_refusal_of_a_webhook(stage: Stage) -> None:
    shown = stage.play("meshops.istio_remediation.remediate", "--check", "--diff", remedy="host_rewrite")
    assert "failed=0" in shown, shown
    assert SUM in shown
    stage.refuse("PATCH", "deployments")
    refused = stage.play("meshops.istio_remediation.remediate", remedy="host_rewrite")
    assert "failed=1" in refused, refused
    assert f"denied the request: {SUM}" in refused


def test_a_refused_fix_that_is_shown_at_its_owner_is_inert(stage: Stage) -> None:
    stage.owned()
    printed = stage.play("meshops.istio_remediation.remediate", "--check", "--verbose", remedy="host_rewrite")
    assert "failed=1" in printed, printed
    assert f"Helm release {NS}/{SUM}" in printed


def test_an_unproved_fix_and_its_way_back_are_inert(stage: Stage) -> None:
    with stage.answering():
        printed = stage.play("meshops.istio_remediation.remediate", remedy="host_rewrite")
    assert "The fix is not proved, so it was taken back." in printed
    assert SUM in printed.partition("The fix is not proved")[2]


def test_a_proof_that_fails_is_inert(stage: Stage) -> None:
    with stage.answering():
        printed = stage.play("meshops.istio_remediation.verify", "--verbose")
    assert "failed=1" in printed, printed
    assert SUM in printed


def test_a_rollback_of_a_hostile_record_is_inert(stage: Stage) -> None:
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS}
    run = run_module(query_path_remediation, **given, strategy="host_rewrite")["run"]
    data = stage.server.stored("ConfigMap", NS, run)["data"]
    changes = json.loads(data["changes"])
    changes[0]["change"]["why"] = stage.text
    data |= {"changes": json.dumps(changes), **dict.fromkeys(("who", "grafana", "note", "strategy"), stage.text)}
    stage.refuse("GET", "sidecars")
    shown = stage.play("meshops.istio_remediation.rollback", "--check", "--diff")
    assert "failed=0" in shown, shown
    assert f"patch Deployment/{NS}/prom-label-proxy: {SUM}" in shown
    assert f"denied the request: {SUM}" in shown
    template = stage.server.stored("Deployment", NS, "prom-label-proxy")["spec"]["template"]
    template["spec"]["containers"][0]["args"] = [stage.text]
    refused = stage.play("meshops.istio_remediation.rollback")
    assert "failed=1" in refused, refused
    assert SUM in refused


def test_who_holds_the_path_and_a_kubeconfig_are_inert(stage: Stage) -> None:
    spec = {"holderIdentity": f"{stage.text}/1", "leaseDurationSeconds": 60, "renewTime": "2099-01-01T00:00:00.0Z"}
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS}
    done = run_module(query_path_remediation, **given, strategy="route_alias")
    lease = next(request.path for request in stage.server.requests if "/leases/" in request.path).rpartition("/")[2]
    stage.server.add("Lease", NS, lease, spec=spec)
    held = stage.play("meshops.istio_remediation.rollback", run=done["run"])
    assert "failed=1" in held, held
    assert f"is being changed by {SUM}" in held
    kubeconfig = stage.folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({"current-context": stage.text, "contexts": [], "clusters": []}), "utf-8")
    stage.connection = {"K8S_AUTH_KUBECONFIG": str(kubeconfig)}
    cannot = stage.play("meshops.istio_remediation.verify")
    assert "failed=1" in cannot, cannot
    assert SUM in cannot
