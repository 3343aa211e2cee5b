"""The reference page at /docs: every path of the OpenAPI document as one plain HTML page.

It loads no script, style or font from anywhere, so it works offline and tells nobody who reads it.
"""

from __future__ import annotations

from html import escape
from typing import Any

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .3em}}table{{border-collapse:collapse}}
td,th{{border:1px solid #8886;padding:.2em .6em;text-align:left}}</style></head>
<body><h1>{title}</h1><p>{description}</p>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>{routes}</body></html>"""


def render_reference(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    info = document["info"]
    routes = "".join(
        _render_operation(path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )
    return PAGE.format(
        title=escape(info["title"]), description=escape(info.get("description", "")), routes=routes
    )


def _render_operation(path: str, method: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(_model(answer))}</td>"
        f"<td>{escape(answer.get('description', ''))}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    wanted = "".join(_render_parameter(item) for item in operation.get("parameters", ()))
    name, call = escape(operation["operationId"]), f"{method.upper()} {escape(path)}"
    return (
        f'<section id="{name}"><h2><code>{call}</code></h2>'
        f"<p>{escape(operation.get('description', ''))}</p>{'<ul>' + wanted + '</ul>' if wanted else ''}"
        f"<table><tr><th>Status</th><th>Model</th><th>Meaning</th></tr>{answers}</table></section>"
    )


def _render_parameter(item: dict[str, Any]) -> str:
    need = "required" if item.get("required") else "optional"
    meaning = escape(item.get("description", ""))
    return f"<li><code>{escape(item['name'])}</code> ({item['in']}, {need}): {meaning}</li>"


def _model(answer: dict[str, Any]) -> str:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]
