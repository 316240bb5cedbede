# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending, as far as it touches no network."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from meshlab import lifecycle, waiting
from meshlab.errors import LabError
from meshlab.images import ENVOY_BOOTSTRAP, table
from meshlab.parts import CONTROL_PLANE, catalog
from meshlab.settings import Folders

MOUNTINFO = r"""22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
30 22 0:31 / /var/tmp/state/pods rw - tmpfs tmpfs rw
31 30 0:32 / /var/tmp/state/pods/a\040b rw - tmpfs tmpfs rw
32 22 0:33 / /var/tmp/state-of-another rw - tmpfs tmpfs rw
"""


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """Parts of a cache in which every program exists."""
    result = {part.name: tmp_path / "cache" / f"{part.name}-1.31-abc-0123" for part in catalog()}
    for part, programs in lifecycle.PROGRAMS.items():
        result[part].mkdir(parents=True)
        for program in programs:
            (result[part] / program).touch()
    return result


def test_mounts_below_come_innermost_first() -> None:
    assert lifecycle.mounts_below(Path("/var/tmp/state"), MOUNTINFO) == [
        Path("/var/tmp/state/pods/a b"),
        Path("/var/tmp/state/pods"),
    ]


def test_a_folder_of_somebody_else_is_not_deleted(lab_folders: Folders) -> None:
    lab_folders.state.mkdir()
    precious = lab_folders.state / "precious"
    precious.touch()
    with pytest.raises(LabError, match="holds files that are not the lab's"):
        lifecycle.clear(lab_folders)
    assert precious.exists()


def test_prepare_lays_out_the_state_folder(lab_folders: Folders, parts: dict[str, Path]) -> None:
    lifecycle.prepare(lab_folders, parts)
    for program in (*CONTROL_PLANE, "istioctl", "node-agent"):
        assert (lab_folders.programs / program).is_file()
    assert (lab_folders.state / lifecycle.MARKER).exists()
    assert lab_folders.kubeconfig.exists()
    assert json.loads((lab_folders.state / "images.json").read_text()) == table(parts)
    assert f"kubeconfig {lab_folders.pki}/coredns.kubeconfig" in (lab_folders.state / "Corefile").read_text()


def test_a_missing_program_is_named(lab_folders: Folders, parts: dict[str, Path]) -> None:
    (parts["agent"] / "node-agent").unlink()
    with pytest.raises(LabError, match="holds no node-agent"):
        lifecycle.prepare(lab_folders, parts)


def test_images_stand_for_programs_of_the_cache(parts: dict[str, Path]) -> None:
    images = table(parts)
    old = images["prometheuscommunity/prom-label-proxy:v0.11.1"]
    assert old["entrypoint"] == ["/bin/prom-label-proxy"]
    assert old["files"] == {"/bin/prom-label-proxy": f"{parts['prom-label-proxy-0.11.1']}/prom-label-proxy"}
    assert set(images["istio/proxyv2"]["files"]) == {
        "/usr/local/bin/pilot-agent",
        "/usr/local/bin/envoy",
        ENVOY_BOOTSTRAP,
    }


def test_the_tag_of_istios_images_is_its_version(parts: dict[str, Path]) -> None:
    assert lifecycle.istio_tag(parts) == "1.31-abc"


def test_another_program_makes_another_fingerprint(parts: dict[str, Path]) -> None:
    other = {**parts, "agent": parts["agent"].with_name("agent-changed")}
    assert lifecycle.fingerprint(parts) == lifecycle.fingerprint(dict(reversed(parts.items())))
    assert lifecycle.fingerprint(other) != lifecycle.fingerprint(parts)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LabError, match=f"Port {port} on 127.0.0.1, which the lab needs, is taken"):
            lifecycle.require_free_port(port)
    lifecycle.require_free_port(port)


def test_waiting_ends_with_the_reason() -> None:
    with pytest.raises(LabError, match=r"^x did not happen within 0\.01 s: it is broken$"):
        waiting.until(lambda: False, "x", 0.01, why=lambda: "it is broken", pause=0.001)


def test_waiting_ends_when_it_is_true() -> None:
    answers = iter([False, True])
    waiting.until(lambda: next(answers), "x", 5, pause=0)
    assert list(answers) == []
