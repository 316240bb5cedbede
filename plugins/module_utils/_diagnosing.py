# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's options become a diagnosis: of the live cluster, or of what was saved.

Beside _module, because Ansible sends every task all the files that its module may import, and a proof needs no verdict.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _module

if TYPE_CHECKING:
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import Diagnosis
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader


def diagnose(
    client: Client | None, params: _module.Params, *, applying: bool = False, without: str = ""
) -> tuple[Diagnosis, Snapshot]:
    """Diagnose the live cluster, or what `snapshot` holds, with any assumptions laid over.

    applying: for a run that applies a fix; a mere diagnosis makes fewer requests. without: the name of objects that
    the run removes first. Raises KubeError, InputError.
    """
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose as judge
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Options
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import collect

    asked, reader = _asked(client, params, thorough=applying)
    if without:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.without import ReaderWithout

        reader = ReaderWithout(reader, without)
    options = Options(annotate=applying and params["annotate"])
    return collect(reader, lambda snapshot: judge(asked, snapshot, options))


def diagnose_each(client: Client | None, params: _module.Params) -> tuple[dict[str, Any], Question, Snapshot]:
    """Diagnose the data sources `datasource_uids`, or all; as diagnose() does. Raises KubeError, InputError."""
    from ansible_collections.meshops.istio_remediation.plugins.module_utils import _diagnose, _result

    asked, reader = _asked(client, params)
    results, problems, snapshot = _diagnose.diagnose_each(asked, reader, params["datasource_uids"] or ())
    return _result.several(results, problems), asked, snapshot


def _asked(client: Client | None, params: _module.Params, thorough: bool = False) -> tuple[Question, Reader]:
    asked = _module.question(params)
    asked = asked._replace(thorough=asked.thorough or thorough)
    reader = _saved(params) if client is None else _module.live(client, asked, params)
    if params.get("assume") or params.get("with_manifests"):
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import overlay

        asked = asked._replace(read_logs=False, read_envoy=False)
        reader = overlay.OverlaidReader(reader, overlay.assumptions(params), asked.istio_namespace)
    return asked, reader


def _saved(params: _module.Params) -> Reader:
    if os.path.isdir(params["snapshot"]):
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.manifests import ManifestReader

        return ManifestReader(params["snapshot"])
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import saved

    return saved.load(params["snapshot"])
