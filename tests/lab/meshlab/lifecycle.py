# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending the lab."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from meshlab import (
    controlplane,
    health,
    images,
    istiod,
    kubeconfig,
    manifests,
    mesh_config,
    network,
    pki,
    processes,
    waiting,
)
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.parts import CONTROL_PLANE
from meshlab.progress import say, seconds, step
from meshlab.settings import HOST_API_PORT, LAB, Folders

MARKER = ".meshlab"
"""A file that says: this folder is the lab's, and may be deleted."""

PATIENCE = 90.0
"""Seconds to wait for one component; ten times what a machine with two cores at work needs."""

PROGRAMS = {
    "kubernetes": CONTROL_PLANE,
    "istio": ("istioctl", "pilot-discovery"),
    "coredns": ("coredns",),
    "agent": ("node-agent", "loopback-forward"),
}
"""Part → programs that run on the node, or that people call."""


def up(folders: Folders, parts: Mapping[str, Path]) -> None:
    """Bring up the lab with the programs in *parts*, unless it is up with just these and well."""
    wanted = fingerprint(parts)
    if is_well(folders, wanted):
        say("The lab is up.")
    else:
        started = time.monotonic()
        if leftovers(folders):
            with step("clearing away what an earlier run left"):
                clear(folders)
        start(folders, parts)
        (folders.state / "fingerprint").write_text(wanted, encoding="ascii")
        say(f"The mesh is ready after {seconds(time.monotonic() - started)}.")
    say(f"Next:\n  export KUBECONFIG={folders.kubeconfig}")
    if not shutil.which("kubectl"):
        say(f'  export PATH="$PATH:{folders.programs}"')
    say("  kubectl get pods -A")


def fingerprint(parts: Mapping[str, Path]) -> str:
    """Return what identifies the programs and manifests that a lab was started from."""
    digest = hashlib.sha256("\n".join(sorted(str(folder) for folder in parts.values())).encode())
    for path in sorted([*(LAB / "mesh").rglob("*.yaml"), *(LAB / "manifests").rglob("*.yaml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_well(folders: Folders, wanted: str) -> bool:
    """Tell whether the lab runs from just what is *wanted*, and every check is content."""
    try:
        if (folders.state / "fingerprint").read_text(encoding="ascii") != wanted:
            return False
    except FileNotFoundError:
        return False
    return not any(health.problems(folders, Api(folders)).values())


def leftovers(folders: Folders) -> bool:
    """Tell whether anything of a lab is on the machine."""
    return folders.state.exists() or network.NODE_NAMESPACE.exists() or bool(processes.of_the_lab())


def down(folders: Folders) -> None:
    """End the lab and remove every trace but the cache; says so when there was none."""
    if leftovers(folders):
        with step("taking the lab down"):
            clear(folders)
    else:
        say("There is no lab to take down.")


def clear(folders: Folders) -> None:
    """End all processes, then remove what they held: mounts, network namespaces, the state folder."""
    if folders.state.exists() and any(folders.state.iterdir()) and not (folders.state / MARKER).exists():
        raise LabError(
            f"{folders.state} holds files that are not the lab's; let MESHOPS_LAB_STATE name another folder."
        )
    processes.kill_all()
    for path in mounts_below(folders.state, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        network.unmount(path)
    network.delete()
    if folders.state.exists():
        shutil.rmtree(folders.state)


def mounts_below(folder: Path, mountinfo: str) -> list[Path]:
    """Return the mount points in or below *folder* out of the text of /proc/self/mountinfo, innermost first."""
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point == folder or folder in point.parents]


def start(folders: Folders, parts: Mapping[str, Path]) -> None:
    """Start everything on a machine without leftovers, and wait until it works."""
    with step("network, certificates"):
        require_free_port(HOST_API_PORT)
        prepare(folders, parts)
        network.create()
    api = Api(folders)
    checks = health.checks(folders, api)

    def launch(daemons: Iterable[processes.Daemon]) -> None:
        for daemon in daemons:
            processes.start(daemon, folders)

    def wait(*names: str) -> None:
        for name in names:
            wait_for(name, checks[name], folders)

    with ThreadPoolExecutor(1) as pool:
        with step("etcd, kube-apiserver"):
            launch([controlplane.etcd(folders), controlplane.kube_apiserver(folders)])
            rendering = pool.submit(istiod.render, folders.programs, istio_tag(parts))
            wait("etcd", "kube-apiserver")
        rendered = rendering.result()
    with step("cluster and mesh objects"):
        launch([controlplane.kube_controller_manager(folders), controlplane.kube_scheduler(folders)])
        system = manifests.read(LAB / "manifests" / "system") + manifests.read_file(LAB / "mesh" / "namespace.yaml")
        manifests.apply(api, system + rendered.objects)
    with step("istiod, node, kube-proxy, DNS"):
        launch(
            [
                istiod.daemon(rendered.deployment, folders),
                controlplane.node_agent(folders, folders.state / "images.json"),
                controlplane.kube_proxy(folders),
                controlplane.coredns(folders),
                controlplane.loopback_forward(folders),
            ]
        )
        wait("istiod")
        manifests.apply(api, rendered.webhooks)
        wait("kube-controller-manager", "kube-scheduler", "node-agent", "kube-proxy", "coredns", "loopback-forward")
    with step("sidecar injection"):
        wait("sidecar injection")
        mesh_config.save(api, folders)


def prepare(folders: Folders, parts: Mapping[str, Path]) -> None:
    """Lay out the state folder: links to the programs, certificates, kubeconfigs, image table, Corefile."""
    for folder in (folders.state, folders.logs, folders.programs, folders.state / "run", folders.state / "pods"):
        folder.mkdir(parents=True, exist_ok=True)
    (folders.state / MARKER).touch()
    for part, programs in PROGRAMS.items():
        for program in programs:
            if not (parts[part] / program).is_file():
                raise LabError(f"{parts[part]} holds no {program}; delete this folder and run 'build' again.")
            (folders.programs / program).symlink_to(parts[part] / program)
    pki.create(folders.pki)
    kubeconfig.create(folders)
    table = json.dumps(images.table(parts), indent=2)
    (folders.state / "images.json").write_text(table + "\n", encoding="utf-8")
    (folders.state / "Corefile").write_text(controlplane.corefile(folders), encoding="utf-8")


def wait_for(name: str, check: health.Check, folders: Folders) -> None:
    """Wait until a component's check is content; raise LabError when its program ends, or after PATIENCE seconds."""

    def content() -> bool:
        if processes.pid_file(name, folders).exists():
            health.must_run(name, folders)
        return not check()

    waiting.until(content, f"{name}'s becoming ready", PATIENCE, why=lambda: f"{check()} (logs: {folders.logs})")


def istio_tag(parts: Mapping[str, Path]) -> str:
    """Return the tag of Istio's images: the version in the name of the part's folder."""
    return parts["istio"].name.removeprefix("istio-").rpartition("-")[0]


def require_free_port(port: int) -> None:
    """Raise LabError when something on the host listens on the lab's loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LabError(
                f"Port {port} on 127.0.0.1, which the lab needs, is taken: {os.strerror(error.errno or 0)}."
            ) from error
