# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between us and an API. `str()` of each is one sentence for a person: what, where, what to do."""

from __future__ import annotations


class KubeError(Exception):
    """Every error of this room."""


class ConfigError(KubeError):
    """The connection's options cannot be used: a file or context is missing or does not parse."""


class AuthError(KubeError):
    """The API server does not know who we are (401)."""

    def __init__(self, host: str, message: str = "") -> None:
        """host: the API's URL. message: what it said."""
        said = f": {message}" if message else ""
        super().__init__(
            f"The API server at {host} does not accept the credentials (401 Unauthorized){said}. "
            "Check api_key or the kubeconfig's user, and whether the token has expired."
        )


class UnreachableError(KubeError):
    """No complete answer came back: refused, reset, timed out, cut off, or TLS failed.

    sent: the request may have been carried out all the same, which matters to a write. lasting: another try is no use.
    """

    def __init__(self, where: str, why: str, sent: bool = False, lasting: bool = False) -> None:
        """where: what was called, as a URL or `port 3000 of Pod a/b`. why: the cause, without a full stop."""
        self.where, self.why, self.sent, self.lasting = where, why, sent, lasting
        super().__init__(f"Cannot reach {where}: {why}.")


class ApiError(KubeError):
    """The API server answered with a status that is no success.

    verb is Kubernetes' own word: get, list, create, patch, delete, log, exec, portforward.
    """

    def __init__(self, verb: str, kind: str, namespace: str, name: str, status: int, reason: str, message: str) -> None:
        self.verb, self.kind, self.namespace, self.name = verb, kind, namespace, name
        self.status, self.reason, self.message = status, reason, message
        super().__init__(self.sentence())

    @property
    def target(self) -> str:
        """`Kind namespace/name` as far as the parts are known."""
        place = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.kind} {place}" if place else self.kind

    @property
    def attempt(self) -> str:
        """`verb Kind namespace/name`; for a list `list Kind in namespace a`."""
        if self.verb != "list":
            return f"{self.verb} {self.target}"
        return f"list {self.kind} {f'in namespace {self.namespace}' if self.namespace else 'in the whole cluster'}"

    def sentence(self) -> str:
        """What happened, in one sentence with a full stop."""
        said = self.message.strip().rstrip(".") or self.reason or "no reason given"
        return f"The API server refused to {self.attempt}: {self.status} {said}."


# In the words of an admission webhook and of a ValidatingAdmissionPolicy: they answer 403 too, and no right helps.
# k8s.io/apiserver/pkg/admission/plugin: webhook/errors/statuserror.go, policy/validating/dispatcher.go
_ADMISSION = (" denied the request", " denied request: ")


class ForbiddenError(ApiError):
    """403: the user lacks a right."""

    def sentence(self) -> str:
        """Which right is missing; the API server's own message names user, verb and resource."""
        if any(words in self.message for words in _ADMISSION):
            return super().sentence()
        said = self.message.strip().rstrip(".") or "the server gave no reason"
        return f"Not allowed to {self.attempt}: {said}; grant this right (docs/access.md) or use other credentials."


class NotFoundError(ApiError):
    """404: the object does not exist."""

    def sentence(self) -> str:
        """Name what is absent."""
        return f"{self.target} does not exist."


class NotServedError(ApiError):
    """404 on the resource type itself: the API server does not serve this kind in any version that we know."""

    def sentence(self) -> str:
        """Name the kind."""
        return f"The API server does not serve {self.kind}; its CustomResourceDefinition is not installed."


class ConflictError(ApiError):
    """409: the object changed, exists already, or a precondition (uid, resourceVersion) does not hold."""


class InvalidError(ApiError):
    """422: the request was understood and refused, such as a JSON patch whose `test` operation does not hold."""


_BY_STATUS: dict[int, type[ApiError]] = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError, 422: InvalidError}


def api_error(verb: str, kind: str, namespace: str, name: str, status: int, reason: str, message: str) -> ApiError:
    """The error class that fits an HTTP status."""
    return _BY_STATUS.get(status, ApiError)(verb, kind, namespace, name, status, reason, message)


def may_have_been_done(error: KubeError) -> bool:
    """Whether a write that ended with this error may have been carried out all the same: only a look can tell."""
    return (isinstance(error, UnreachableError) and error.sent) or (isinstance(error, ApiError) and error.status >= 500)
