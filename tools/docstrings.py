"""Docstrings for the reference pages: roles of Sphinx become links, ``::`` before an example a colon.

A griffe extension, named in mkdocs.yml. Docstrings are written to be read in an editor; Markdown reads all of them but
for these two marks, and for pictures that begin at the margin.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([^`]+)`")
PICTURE = re.compile(r"(?:^|(?<=\n\n))(?! )(?:[^\n]* {3,}[^\n]*\n)+", re.MULTILINE)


class Roles(griffe.Extension):
    """Rewrites each docstring of a package once it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        rewrite(pkg)


def rewrite(of: griffe.Object) -> None:
    """Rewrite the docstrings of an object and of all that it holds."""
    if of.docstring:
        of.docstring.value = markdown(of.docstring.value, of)
    for member in of.members.values():
        if isinstance(member, griffe.Object):
            rewrite(member)


def markdown(text: str, of: griffe.Object) -> str:
    """A docstring as Markdown, its names linked as ``of`` sees them; a name without a page stays code."""

    def link(role: re.Match[str]) -> str:
        short, name = role.groups()
        shown = name.rpartition(".")[2] if short else name
        try:
            path = of.resolve(name) if "." not in name else name
        except griffe.NameResolutionError:
            path = f"{of.path}.{name}"
        return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'

    linked = ROLE.sub(link, text)
    linked = PICTURE.sub(lambda picture: f"```text\n{picture[0]}```\n", linked)
    return re.sub(r"::$", ":", linked, flags=re.MULTILINE).replace("][", "]\\[")  # axes, no reference link
