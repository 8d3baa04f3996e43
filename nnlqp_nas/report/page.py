"""The frame of every page: one self-contained document."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1f2933;
  background: #f5f7fa; margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 36px 0 10px; }
.sub { color: #616e7c; margin: 0 0 22px; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 16px; }
.card { background: white; border: 1px solid #e4e7eb; border-radius: 10px; padding: 10px 18px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.card span { color: #616e7c; font-size: 13px; }
.box { background: white; border: 1px solid #e4e7eb; border-radius: 10px; overflow-x: auto; }
.plot { padding: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #616e7c; font-size: 13px; white-space: nowrap; }
th, td { padding: 8px 14px; border-bottom: 1px solid #eef1f4; }
tr:last-child td { border-bottom: 0; }
td { text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td code { font: 12px/1.4 ui-monospace, Consolas, monospace; white-space: normal; word-break: break-all; }
.yes { color: #147d64; font-weight: 600; } .no { color: #ba2525; font-weight: 600; }
.settings { columns: 2; padding: 14px 18px; font: 12.5px/1.7 ui-monospace, Consolas, monospace; }
.settings div { break-inside: avoid; } .settings i { color: #7b8794; font-style: normal; }
"""


def render_document(title: str, subtitle: str, body: str) -> str:
    """Return a page with a title; it loads nothing from elsewhere.

    Args:
        title: Plain text.
        subtitle: Plain text.
        body: HTML below them.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><main>
<h1>{escape(title)}</h1>
<p class="sub">{escape(subtitle)}</p>
{body}
</main></body></html>
"""
