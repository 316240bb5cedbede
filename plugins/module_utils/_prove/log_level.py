# SPDX-License-Identifier: GPL-3.0-or-later
"""Raises the log level of sidecars for the time of a probe, and leaves it to the sidecars themselves to put it back.

A run can be killed between any two of its calls, so nothing that it would have to do later may be needed. One exec in
each sidecar raises the levels, waits and puts them back; what it waits for is a line on its standard input, the end of
that (the run is dead, and the API server passes that on), or the end of a time limit (nobody passes anything on).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    KubeError,
    UnreachableError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import debug_log
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import SIDECAR_CONTAINER, Pod

TIMEOUT = 15.0
# Longer than a probe takes: up to four rounds, a few seconds each where nothing hangs.
HOLD_SECONDS = 120
HELD = "levels are raised"
# $1 raised, $2 as before, $3 seconds, $4 HELD. What waits is a child of what was exec'd: container runtimes kill the
# latter alone where they kill at all (containerd execInternal, on a cancelled context), and take no notice of a client
# that is gone otherwise (https://github.com/containerd/containerd/issues/8856).
_SCRIPT = (
    "trap '' HUP INT TERM PIPE\n"
    "exec 3<&0\n"
    '{ pilot-agent request POST "logging?paths=$1" >/dev/null && echo "$4" '
    '&& timeout -s KILL "$3" head -c 1 <&3 >/dev/null; '
    'pilot-agent request POST "logging?paths=$2" 2>/dev/null; } &\n'
    "wait $!\n"
)
_REQUEST = ("pilot-agent", "request", "POST")
# How often to look, a second apart, whether the sidecar has done so; from the second time on the run does it too.
_LOOKS = 4


class Level(NamedTuple):
    """What was done to one sidecar.

    pod       namespace/name
    before    Envoy's loggers and their levels as found, such as `router:warning`; only those that were to be raised
    raised    the same loggers, as raised; "" = nothing is known to have been raised
    put_back  whether `before` was seen to stand again
    problem   why its debug lines are missing; "" where they are written
    """

    pod: str
    before: str = ""
    raised: str = ""
    put_back: bool = True
    problem: str = ""


@contextmanager
def raised(client: Client, pods: Sequence[Pod], sleep: Callable[[float], None] = time.sleep) -> Iterator[list[Level]]:
    """Raise the level in each pod's sidecar while the block runs; the list is complete when the block has ended.

    A sidecar in which it is debug already is left alone. Where a level is not seen to be put back, the client's
    warnings say so. Raises AuthError; whatever else fails is a problem of one pod.
    """
    levels: list[Level] = []
    held: dict[int, tuple[Pod, streams.Running, dict[str, str]]] = {}
    with ExitStack() as stack:
        try:
            for pod in pods:
                level, running, before = _raise(client, pod, stack)
                if running is not None:
                    held[len(levels)] = pod, running, before
                levels.append(level)
            yield levels
        finally:
            for index, (pod, running, before) in held.items():
                levels[index] = levels[index]._replace(put_back=_put_back(client, pod, running, before, sleep))
            client.warnings += _left_raised(levels)


def unheard(levels: Sequence[Level]) -> Mapping[str, str]:
    """Why a sidecar's debug lines are missing, by namespace/name of its pod; "" for those that write them."""
    return {level.pod: level.problem for level in levels}


def _raise(client: Client, pod: Pod, stack: ExitStack) -> tuple[Level, streams.Running | None, dict[str, str]]:
    where = f"{pod.namespace}/{pod.name}"
    try:
        found = _levels(client, pod)
        before = debug_log.silent(found)
        if len(found) < len(debug_log.LOGGERS):
            missing = " and ".join(logger for logger in debug_log.LOGGERS if logger not in found)
            return Level(where, problem=f"Envoy in Pod {where} does not list the logger {missing}"), None, {}
        if not before:
            return Level(where), None, {}
        wanted, as_found = debug_log.setting(dict.fromkeys(before, debug_log.LEVEL)), debug_log.setting(before)
        command = ("sh", "-c", _SCRIPT, "sh", wanted, as_found, str(HOLD_SECONDS), HELD)
        running = stack.enter_context(streams.running(client, pod.namespace, pod.name, SIDECAR_CONTAINER, command))
    except (ApiError, UnreachableError) as error:
        return Level(where, problem=_not_raised(error)), None, {}
    try:
        running.hear(HELD, TIMEOUT)
    except UnreachableError as error:
        # It may have been raised all the same, so what becomes of it is looked at.
        return Level(where, as_found, problem=_not_raised(error)), running, before
    return Level(where, as_found, wanted), running, before


def _not_raised(error: Exception) -> str:
    return f"the log level of its sidecar was not raised: {str(error).rstrip('.')}"


def _left_raised(levels: Sequence[Level]) -> list[str]:
    """For each sidecar whose levels were not seen to stand as before: a sentence that says how to put them back."""
    return [
        f"The log level of the sidecar in Pod {level.pod} was not seen to be as before. It puts it back by itself "
        f"within {HOLD_SECONDS} seconds; to make sure, run in its container {SIDECAR_CONTAINER}: "
        f"pilot-agent request POST 'logging?paths={level.before}'"
        for level in levels
        if not level.put_back
    ]


def _levels(client: Client, pod: Pod, wanted: str = "") -> dict[str, str]:
    """Envoy's levels now, or after they were set to `wanted`; empty where it does not tell.

    Raises like streams.execute.
    """
    command = (*_REQUEST, f"logging?paths={wanted}" if wanted else "logging")
    output = streams.execute(client, pod.namespace, pod.name, SIDECAR_CONTAINER, command, TIMEOUT)
    return debug_log.levels(output.stdout)


def _put_back(
    client: Client,
    pod: Pod,
    running: streams.Running,
    before: dict[str, str],
    sleep: Callable[[float], None],
) -> bool:
    """End what waits in the sidecar, and look whether the levels are as before."""
    try:
        printed = running.end(TIMEOUT).stdout.rpartition(HELD)[2]
        if debug_log.silent(debug_log.levels(printed)) == before:
            return True
    except UnreachableError:
        # The sidecar has noticed, or will; what counts is what stands there.
        pass
    for attempt in range(_LOOKS):
        try:
            if debug_log.silent(_levels(client, pod, debug_log.setting(before) if attempt else "")) == before:
                return True
        except KubeError:
            return False
        sleep(1.0)
    return False
