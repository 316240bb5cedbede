# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps secrets and control characters out of what is stored, printed or reported.

Two uses: objects are masked as they are read (environment variables), and whatever leaves a module is masked again as
text, because a token can stand in any argument, URL or log line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

MASK = "***"
# Longer texts are log dumps or annotations that no person reads.
LONGEST = 16 * 1024

_SECRET_WORD = r"(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|private[-_]?key|credential|cookie)s?"
# pass-host-header and its like are switches of oauth2-proxy.
_SWITCH = r"(?:host|user|basic|authorization)[-_.]"
_SECRET_NAME = re.compile(
    rf"(?i)(?:^|[-_.]){_SECRET_WORD}(?:$|[-_.](?!(?:file|path|dir|name|ref|url)s?$|{_SWITCH}))|{_SECRET_WORD}$"
)
_HEADER = re.compile(r"(?i)(?:proxy-)?authorization")
_PATTERNS = (
    # user:password@ in a URL
    (re.compile(r"(?<=://)[^/\s@\"']+@"), f"{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{MASK}"),
    # A header with a token alone, without a scheme
    (
        re.compile(
            r"(?i)((?<![\w.])(?<!\w-)(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)"
            r"(?!\*\*\*|(?:bearer|basic)\s|[\"'])[^\s&\"',}]+"
        ),
        rf"\1{MASK}",
    ),
    # All of a line's cookies, not only the first
    (re.compile(r"(?i)((?<![\w-])(?:set-)?cookie[\"']?\s*:\s*[\"']?)[^\r\n\"']+"), rf"\1{MASK}"),
    # What else a URL's query carries to prove who asks
    (re.compile(r"(?i)(?<=[?&])((?:auth|code|jwt|key|sig|signature)=)(?!\*\*\*)[^\s&\"'#]+"), rf"\1{MASK}"),
    # --api-key=value, token: value, "password":"value", ?access_token=value; a flag that names a file is not one
    (
        re.compile(rf"(?i)(?:^|(?<=[\s?&,{{\"'_.-]))({_SECRET_WORD}[\"']?\s*[=:]\s*[\"']?)(?!\*\*\*)[^\s&\"',}}]+"),
        rf"\1{MASK}",
    ),
    # Grafana's service account tokens, and JSON Web Tokens
    (re.compile(r"\bgl(?:sa|c)_[A-Za-z0-9_]{8,}"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"), MASK),
)
# `password foo`, `set_header X-Api-Key "foo"`: configuration files separate by blanks. What ends a statement stays.
_NAMED = re.compile(r"(?<![\w.-])([\w.-]+)[\"']?[ \t]+[\"']?(?!\*\*\*|[=:]|(?i:bearer|basic)\s)(?=[^\s;\"'{}])")
_VALUE = re.compile(r"[^\s;\"'{}]+")
# proxy_pass and its like (nginx), ProxyPass and ProxyPassReverse (httpd) name where a request goes.
_DIRECTIVE = re.compile(r"(?i)(?:proxy|fastcgi|grpc|uwsgi|scgi|memcached)_?pass(?:reverse|match|_\w+)?")
# A ConfigMap holds at most 1 MiB.
_LONGEST_FILE = 1024 * 1024
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def secret_name(name: str) -> bool:
    """Whether a variable, flag or header of this name holds a secret itself, not the place of one (`TOKEN_FILE`)."""
    return bool(_SECRET_NAME.search(name) or _HEADER.fullmatch(name))


def text(value: str, longest: int = LONGEST) -> str:
    """A text without secrets, escape sequences and characters that change how a terminal or a reader sees the rest.

    What is longer than `longest` characters is cut, and says so.
    """
    for pattern, replacement in _PATTERNS:
        value = pattern.sub(replacement, value)
    value = _ANSI.sub("", value)
    cleaned = "".join(char if _visible(char) else "\N{REPLACEMENT CHARACTER}" for char in value)
    return cleaned if len(cleaned) <= longest else f"{cleaned[:longest]}… ({len(cleaned) - longest} more characters)"


def sentence(value: str) -> str:
    """A text as `text` gives it, on one line: Ansible shows messages as they are, and a line could pose as its own."""
    return " ".join(text(value).split())


def _visible(char: str) -> bool:
    # Cc: control characters; Cf: among others those that turn the direction of text around.
    return char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")


def plain(value: Any, longest: int = LONGEST) -> Any:
    """A JSON-plain value with every text in it cleaned, keys included; a list of texts may be a command line."""
    if isinstance(value, str):
        return text(value, longest)
    if isinstance(value, dict):
        return {text(key) if isinstance(key, str) else key: plain(entry, longest) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        if all(isinstance(entry, str) for entry in value):
            return arguments(value, longest)
        return [plain(entry, longest) for entry in value]
    return value


def arguments(words: Sequence[Any], longest: int = LONGEST) -> list[Any]:
    """A command line with secrets masked, also where a flag and its value are two words."""
    masked: list[Any] = []
    secret_follows = False
    for word in words:
        if not isinstance(word, str):
            masked.append(word)
        elif secret_follows and not word.startswith("-"):
            masked.append(MASK)
        else:
            masked.append(text(word, longest))
        is_flag = isinstance(word, str) and word.startswith("-") and "=" not in word
        secret_follows = is_flag and secret_name(word.lstrip("-"))
    return masked


def environment(entries: list[Any]) -> list[Any]:
    """A container's `env` with the values of secrets masked; references to Secrets hold no value and stay."""
    return [
        {**entry, "value": MASK if secret_name(str(entry.get("name", ""))) else text(str(entry["value"]))}
        if isinstance(entry, dict) and entry.get("value")
        else entry
        for entry in entries
    ]


def configuration(value: str) -> str:
    """A configuration file of unknown syntax with what looks like a secret masked; its structure stays readable."""
    value = text(value, _LONGEST_FILE)
    parts = []
    position = 0
    for named in _NAMED.finditer(value):
        if named.start() >= position and _holds_secret(named[1]):
            parts += [value[position : named.end()], MASK]
            secret = _VALUE.match(value, named.end())
            position = secret.end() if secret else named.end()
    return "".join([*parts, value[position:]])


def _holds_secret(name: str) -> bool:
    return secret_name(name) and not _DIRECTIVE.fullmatch(name)


def document(value: Any) -> Any:
    """A decoded YAML or JSON document with the values of all keys that name a secret masked."""
    if isinstance(value, dict):
        # A header or variable as a pair, as in Envoy's `{key: authorization, value: …}`.
        named = any(secret_name(str(value.get(field))) for field in ("key", "name"))
        return {
            str(key): MASK
            if isinstance(entry, (str, int, float)) and (secret_name(str(key)) or (named and key == "value"))
            else document(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [document(entry) for entry in value]
    # What YAML decodes and JSON does not know, such as a date, is kept as text.
    return value if value is None or isinstance(value, (bool, int, float)) else text(str(value), _LONGEST_FILE)
