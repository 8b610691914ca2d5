"""The page of a sweep: one HTML file that is explored offline, from disk or inside MLflow's pages.

Python gathers what the tables say (`overview` of all trials, `detail` of one), JavaScript draws it
with Observable Plot and D3, which lie in `vendor/`. Both are small (0.5 MB together, where Plotly
is 4.8 MB), draw SVG, whose marks can be focused, labeled and tested, and are kept by one team.

Uses: store, tables, colors. Used by: analysis, schedule, cli.
"""

from service.page.html import key, page

__all__ = ["key", "page"]
