"""The style sheet of the page: light and dark, narrow and wide, and on paper.

The colors of the series are those of Okabe and Ito, which color-blind people can tell apart.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1c1f23; --quiet: #5d656f; --line: #e1e3e6;
  --good: #00704f; --bad: #b63f00; --warn: #8a5b00; --accent: #005a94;
  --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73;
  --series-3: #b5559a; --series-4: #b98300; --series-5: #5d656f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1c2024; --ink: #e6e8ea; --quiet: #9aa4ae; --line: #30363c;
    --good: #3fbf93; --bad: #f58a4b; --warn: #e0ad3f; --accent: #62b4ea;
    --series-0: #56b4e9; --series-1: #f0803c; --series-2: #2fc297;
    --series-3: #d78fbf; --series-4: #e6b422; --series-5: #9aa4ae;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 80rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.25rem; }
h3 { margin: 0; font-size: 0.95rem; overflow-wrap: anywhere; }
.attention h3 { margin: 1.5rem 0 0.5rem; }
p { margin: 0.3rem 0; max-width: 46rem; }
a { color: var(--accent); }
a, summary { text-underline-offset: 0.15em; }
code, .file { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; font-size: 0.86em; }
.quiet, .unit { color: var(--quiet); font-weight: normal; }
.verdict { margin-top: 1rem; padding-left: 0.8rem; border-left: 4px solid var(--good);
  font-size: 1.15rem; }
.verdict.some { border-color: var(--warn); }
.verdict.none { border-color: var(--bad); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { padding: 0.45rem 0.7rem; text-align: left; vertical-align: baseline; }
thead th { color: var(--quiet); font-weight: 600; white-space: nowrap; vertical-align: bottom; }
thead .unit { display: block; font-size: 0.85em; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.file, .time { white-space: nowrap; }
.time { font-variant-numeric: tabular-nums; }
.message { min-width: 15rem; overflow-wrap: anywhere; }
.lights td, .lights th { vertical-align: middle; }
.lights img { width: 150px; max-width: none; }
.lights small { display: block; color: var(--quiet); white-space: nowrap; }
.summary { width: fit-content; max-width: 100%; margin-top: 1.5rem; }
.status { white-space: nowrap; font-weight: 600; }
.done, .skipped { color: var(--good); }
.failed { color: var(--bad); }
.rejected, .not_run, .unknown { color: var(--warn); }
.masters, .trends { display: grid; gap: 1.25rem; }
.masters { grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); }
.trends { grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px; }
figure > img { width: 100%; margin-bottom: 0.75rem; }
figure svg { display: block; width: 100%; height: auto; }
.trend figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.6rem;
  margin-bottom: 0.5rem; font-size: 0.85rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0 0.9rem; margin: 0 0 0 auto; padding: 0;
  list-style: none; color: var(--quiet); }
.series-0 { color: var(--series-0); } .series-1 { color: var(--series-1); }
.series-2 { color: var(--series-2); } .series-3 { color: var(--series-3); }
.series-4 { color: var(--series-4); } .series-5 { color: var(--series-5); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.1rem 0.8rem; margin: 0.5rem 0 0;
  font-size: 0.88rem; }
dt { color: var(--quiet); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; color: var(--accent); }
details { margin-top: 0.75rem; }
details .scroll, p + .trends { margin-top: 0.75rem; }
footer { margin-top: 3rem; color: var(--quiet); font-size: 0.85rem; }
@media print { body { max-width: none; } details::details-content { content-visibility: visible; } }
"""
