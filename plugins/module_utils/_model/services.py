# SPDX-License-Identifier: GPL-3.0-or-later
"""The Services of a few namespaces, found by name, by port or by pod without looking at each of thousands again."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Service
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Object


class ServiceIndex:
    """Raw objects by what they are asked for by; one becomes a `Service` only when it is.

    namespaces: those of which a Service is known.
    """

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._by_name: dict[tuple[str, str], Object] = {}
        self._by_port: dict[int, list[Object]] = {}
        self._by_external_name: dict[str, list[Object]] = {}
        self._by_label: dict[tuple[str, str, object], list[Object]] = {}
        self._made: dict[int, Service] = {}
        self.namespaces: set[str] = set()
        for answer in answers:
            for obj in answer.objects:
                self._add(obj)

    def _add(self, obj: Object) -> None:
        meta, body = objects.metadata(obj), objects.spec(obj)
        namespace = meta.get("namespace", "")
        self.namespaces.add(namespace)
        self._by_name[namespace, meta.get("name", "")] = obj
        for number in {port.get("port", 0) for port in objects.sequence(body.get("ports"))}:
            self._by_port.setdefault(number, []).append(obj)
        if alias := objects.external_name(obj):
            self._by_external_name.setdefault(alias, []).append(obj)
        selector = objects.mapping(body.get("selector"))
        if selector:
            # Any one pair narrows the search enough; the rest is compared when it is asked for.
            key, value = next(iter(selector.items()))
            self._by_label.setdefault((namespace, key, value), []).append(obj)

    def having(self, obj: Object) -> ServiceIndex:
        """The same Services and this one, in the place of what has its name."""
        place = objects.namespace(obj), objects.name(obj)
        return ServiceIndex([Answer(tuple({**self._by_name, place: obj}.values()))])

    def named(self, namespace: str, name: str) -> Service | None:
        obj = self._by_name.get((namespace, name))
        return self._make(obj) if obj is not None else None

    def on_port(self, number: int) -> tuple[Service, ...]:
        """The Services that have this port, in the order of their lists."""
        return tuple(map(self._make, self._by_port.get(number, ())))

    def aliases(self, full: str, domain: str) -> tuple[Service, ...]:
        """The ExternalName Services that stand for a full name, also by way of each other."""
        found: list[Service] = []
        names = [full]
        for name in names:
            made = [self._make(obj) for obj in self._by_external_name.get(name, ())]
            found += [alias for alias in made if alias not in found]
            names += {f"{alias.name}.{alias.namespace}.svc.{domain}" for alias in made} - set(names)
        return tuple(found)

    def selecting(self, pod: Pod) -> tuple[Service, ...]:
        """The Services whose selector finds a pod."""
        candidates = (
            obj for key, value in pod.labels.items() for obj in self._by_label.get((pod.namespace, key, value), ())
        )
        made = map(self._make, candidates)
        return tuple(service for service in made if objects.selects(service.selector, pod.labels))

    def _make(self, obj: Object) -> Service:
        made = self._made.get(id(obj))
        if made is None:
            made = self._made[id(obj)] = objects.service(obj)
        return made
