# SPDX-License-Identifier: GPL-3.0-or-later
"""The nginx configuration that a container runs with: mounted files, rendered templates, includes followed.

Sources: nginx's images (nginxinc/docker-nginx: entrypoint/20-envsubst-on-templates.sh, stock nginx.conf); Bitnami's
(`server_blocks`); nginx docs "include".
"""

from __future__ import annotations

import fnmatch
import posixpath
import re

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, nginx_syntax, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import File, FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.nginx_syntax import (
    Directive,
    SyntaxProblemError,
)

_FOLDERS = (
    "/etc/nginx",
    "/opt/bitnami/nginx/conf",
    "/usr/local/openresty/nginx/conf",
    "/usr/local/nginx/conf",
)
# What the stock nginx.conf of an image includes inside `http`.
_HTTP_FILES = ("/etc/nginx/conf.d/*.conf", "/opt/bitnami/nginx/conf/server_blocks/*.conf")
_TEMPLATES, _RENDERED = "/etc/nginx/templates/", "/etc/nginx/conf.d/"
# Files of the images that say nothing about where a request goes and under which Host.
_HARMLESS = (
    "mime.types",
    "fastcgi_params",
    "fastcgi.conf",
    "uwsgi_params",
    "scgi_params",
    "koi-utf",
    "koi-win",
    "win-utf",
)
MAX_INCLUDES = 64


def http_block(seen: Seen) -> Directive:
    """The `http` block. Raises NotReadError, and FileError where it is not known as a whole."""
    given = program.flag(seen.container, "c")
    folders = (*_FOLDERS, *([posixpath.dirname(given)] if given else []))
    found = {file.path: file for file in _rendered(files.below(seen, folders), seen.container)}
    if not found:
        raise files.unmounted()
    main = given or next((f"{folder}/nginx.conf" for folder in _FOLDERS if f"{folder}/nginx.conf" in found), "")
    budget = [MAX_INCLUDES]
    if main:
        if main not in found:
            raise files.unmounted(main)
        top = _followed(_parsed(found[main]), found, posixpath.dirname(main), budget)
        block = next((entry for entry in top if entry.name == "http"), None)
        if block is None:
            raise FileError(f"{found[main].place} has no http block")
        return block
    inside = [
        entry
        for path in found
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in _HTTP_FILES)
        for entry in _followed(_parsed(found[path]), found, "/etc/nginx", budget)
    ]
    return Directive("http", (), tuple(inside), "the image's nginx.conf")


def _rendered(mounted: list[File], container: Container) -> list[File]:
    """Templates as the image's entry point renders them: only variables that the container has are replaced."""
    return [
        file._replace(path=_RENDERED + file.path[len(_TEMPLATES) : -len(".template")], content=_render(file, container))
        if file.path.startswith(_TEMPLATES) and file.path.endswith(".template")
        else file
        for file in mounted
    ]


def _render(file: File, container: Container) -> str:
    known = {name: value for name, value in container.env.items() if value is not None}
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: known.get(found[1] or found[2], found[0]), file.content)


def _parsed(file: File) -> tuple[Directive, ...]:
    try:
        return nginx_syntax.parse(file.content, file.place)
    except SyntaxProblemError as error:
        raise FileError(f"{file.place}: {error}") from error


def _followed(
    directives: tuple[Directive, ...], found: dict[str, File], folder: str, budget: list[int]
) -> tuple[Directive, ...]:
    """The directives with every include replaced by what it brings; those that cannot be followed stay as they are."""
    result: list[Directive] = []
    for entry in directives:
        if entry.block is not None:
            result.append(entry._replace(block=_followed(entry.block, found, folder, budget)))
        elif entry.name != "include" or not entry.args:
            result.append(entry)
        elif posixpath.basename(entry.args[0]) not in _HARMLESS:
            pattern = posixpath.join(folder, entry.args[0])
            matching = [path for path in sorted(found) if fnmatch.fnmatchcase(path, pattern)]
            if not matching:
                result.append(entry)
            for path in matching:
                budget[0] -= 1
                if budget[0] < 0:
                    raise FileError(f"{entry.place} includes more than {MAX_INCLUDES} files, or itself")
                result += _followed(_parsed(found[path]), found, folder, budget)
    return tuple(result)
