# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's provisioned data sources, reduced to what is judged as they arrive.

https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import datasources, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import documents

# The kinds of Need that are answered from provisioning files, and the kind of object that holds these.
HOLDERS = {datasources.IN_CONFIG_MAPS: "ConfigMap", datasources.IN_SECRETS: "Secret"}
# What a data source is judged by. secureJsonData and everything else is never taken along.
_FIELDS = ("uid", "name", "type", "url", "access")


def answer(holders: Iterable[Object], problems: Iterable[str]) -> Answer:
    """The data sources in all these, with their problems beside those that there are already."""
    sources: list[Object] = []
    unread = [*problems]
    for holder in holders:
        found, broken = of(holder)
        sources += found
        unread += broken
    return Answer(tuple(sources), problem="; ".join(unread))


def of(holder: Object) -> tuple[list[Object], list[str]]:
    """The data sources in a ConfigMap or Secret, and what of it could not be read, as sentences without a full stop.

    Of a Secret nothing is kept but uid, name, type, address, and whether a custom header is Host.
    """
    secret = holder.get("kind") == "Secret"
    place = f"{objects.namespace(holder)}/{objects.name(holder)}"
    source = f"{holder['kind']}/{place}"
    found: list[Object] = []
    problems = []
    for key, value in sorted(objects.mapping(holder.get("data")).items()):
        if not key.endswith((".yaml", ".yml")):
            continue
        try:
            document = documents.decode(_decoded(value) if secret else objects.text(value))
        except documents.DocumentError as error:
            # What a parser says about a Secret may quote it.
            why = "it cannot be decoded as YAML" if secret else str(error)
            problems.append(f"key {key} of {holder['kind']} {place}: {why}")
            continue
        for entry in map(objects.mapping, objects.sequence(objects.mapping(document).get("datasources"))):
            found.append({**(_bare(entry) if secret else kept(entry)), "source": source})
    return found, problems


def kept(entry: dict[str, Any]) -> Object:
    """What a data source is judged by."""
    settings = objects.mapping(entry.get("jsonData"))
    judged = {
        key: value
        for key, value in settings.items()
        if key == "customQueryParameters" or key.startswith("httpHeaderName")
    }
    return {**{field: entry[field] for field in _FIELDS if field in entry}, **({"jsonData": judged} if judged else {})}


def custom_resource(obj: Object) -> Object:
    """A GrafanaDatasource with what it is judged by."""
    body = objects.spec(obj)
    spec = {field: body[field] for field in ("uid", "instanceSelector") if field in body}
    spec["datasource"] = kept(objects.mapping(body.get("datasource")))
    return {**{field: obj[field] for field in ("apiVersion", "kind", "metadata") if field in obj}, "spec": spec}


def _bare(entry: dict[str, Any]) -> Object:
    source = kept(entry)
    headers = objects.mapping(source.get("jsonData")).items()
    hosts = {key: value for key, value in headers if objects.text(value).lower() == "host"}
    return {**source, "url": _address(objects.text(source.get("url"))), "jsonData": hosts}


def _address(url: str) -> str:
    """A URL without user, password, query and fragment; "" for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(objects.text(value), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise documents.DocumentError("it is no base64 text") from error
