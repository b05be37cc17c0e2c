"""The Markdown renderer of the chat page: what it shows, and what it never does."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

PAGE = "http://pages.test/"
HANG_MS = 60_000

RENDER = """async (text) => {
  const { renderMarkdown } = await import("/static/markdown.js");
  const holder = document.createElement("div");
  holder.append(renderMarkdown(text));
  for (const head of holder.querySelectorAll(".code-head")) head.remove();
  for (const pre of holder.querySelectorAll("pre, .table")) {
    for (const name of pre.getAttributeNames()) pre.removeAttribute(name);
  }
  return holder.innerHTML;
}"""

GROW = """async ([text, cuts]) => {
  const { MarkdownView, renderMarkdown } = await import("/static/markdown.js");
  const grown = document.createElement("div");
  const view = new MarkdownView(grown);
  for (const cut of cuts) view.update(text.slice(0, cut));
  view.update(text, { open: false });
  const whole = document.createElement("div");
  whole.append(renderMarkdown(text));
  return [grown.innerHTML, whole.innerHTML];
}"""

STREAMED = """async (text) => {
  const { MarkdownView } = await import("/static/markdown.js");
  const holder = document.createElement("div");
  new MarkdownView(holder).update(text);
  return holder.innerHTML;
}"""

A = 'rel="noopener noreferrer" target="_blank"'

SHOWN = [
    ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    ("# A\n###### F ##", "<h3>A</h3><h6>F</h6>"),
    ("#not a heading", "<p>#not a heading</p>"),
    ("a **b** *c*", "<p>a <strong>b</strong> <em>c</em></p>"),
    ("__d__ _e_ ~~f~~", "<p><strong>d</strong> <em>e</em> <del>f</del></p>"),
    ("***both***", "<p><strong><em>both</em></strong></p>"),
    ("2 * 3 * 4 and snake_case_name", "<p>2 * 3 * 4 and snake_case_name</p>"),
    ("**“quoted”**后", "<p><strong>“quoted”</strong>后</p>"),
    ("`a*b*` and ``a`b``", "<p><code>a*b*</code> and <code>a`b</code></p>"),
    (r"\*not\* \`code\`", "<p>*not* `code`</p>"),
    ("[a](https://x.y/z)", f'<p><a href="https://x.y/z" {A}>a</a></p>'),
    ('[**a**](https://x.y "t")', f'<p><a href="https://x.y/" {A}><strong>a</strong></a></p>'),
    ("[m](mailto:a@b.c)", f'<p><a href="mailto:a@b.c" {A}>m</a></p>'),
    ("see https://x.y/a.", f'<p>see <a href="https://x.y/a" {A}>https://x.y/a</a>.</p>'),
    ("<https://x.y/>", f'<p><a href="https://x.y/" {A}>https://x.y/</a></p>'),
    ("![cat](https://x.y/c.png)", f'<p><a href="https://x.y/c.png" {A}>cat</a></p>'),
    ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    (
        "1. a\n  - b\n\n2. c",
        "<ol><li><p>a</p><ul><li>b</li></ul></li><li><p>c</p></li></ol>",
    ),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    ("- [x] a\n- [ ] b", '<ul><li class="task">☑ a</li><li class="task">☐ b</li></ul>'),
    ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
    ("in 1999\n2. no list", "<p>in 1999<br>2. no list</p>"),
    ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("~~~py\n<b>\n  x\n~~~", '<div class="code"><pre><code>&lt;b&gt;\n  x</code></pre></div>'),
    ("```\na\n```\nz", '<div class="code"><pre><code>a</code></pre></div><p>z</p>'),
    ("```\nopen", '<div class="code"><pre><code>open</code></pre></div>'),
    ("a<br>b &lt; c", "<p>a<br>b &lt; c</p>"),
]  # fmt: skip


@pytest.fixture
def render(open_page: Callable[..., object]) -> Callable[[str], str]:
    """HTML of the nodes made from a text, without the code blocks' own heads."""
    page = open_page(PAGE)
    return lambda text: page.evaluate(RENDER, text)


def test_what_models_write_is_shown_as_meant(render: Callable[[str], str]) -> None:
    for text, expected in SHOWN:
        assert render(text) == expected, text
    table = render("|a|b\\|c|d|\n|:-|:-:|-:|\n|1|`2`|3|4|\n|only|\n\nend")
    assert table.count("<tr>") == 3
    assert '<td class="align-center"><code>2</code></td>' in table
    assert ">b|c<" in table
    assert ">4<" not in table
    assert table.endswith("<p>end</p>")


HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg onload=window.hit=1>",
    "[a](javascript:window.hit=1)",
    "[a](JaVaScRiPt:window.hit=1)",
    "[a](\tjavascript:window.hit=1)",
    "[a](java\nscript:window.hit=1)",
    "[a](&#106;avascript:window.hit=1)",
    "[a](data:text/html,<script>window.hit=1</script>)",
    "[a](vbscript:x)",
    "[a](//evil.test/x)",
    "[a](file:///etc/passwd)",
    "<javascript:window.hit=1>",
    "![a](javascript:window.hit=1)",
    "```<script>\n</code></pre><script>window.hit = 1</script>\n```",
    "| <script>window.hit=1</script> | b |\n|--|--|\n| <img src=x onerror=window.hit=1> | c |",
    "# <iframe srcdoc='<script>parent.hit=1</script>'>",
    "[a](https://x.y/\"onmouseover=\"window.hit=1)",
    "__proto__ [constructor](https://x.y)",
]  # fmt: skip

INSPECT = """async (text) => {
  const { renderMarkdown } = await import("/static/markdown.js");
  const holder = document.createElement("div");
  holder.append(renderMarkdown(text));
  document.body.append(holder);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const elements = [...holder.querySelectorAll("*:not(.code-head, .code-head *)")];
  const found = {
    tags: elements.map((element) => element.localName),
    links: elements.filter((element) => element.localName === "a").map((a) => a.protocol),
    attributes: elements.flatMap((element) => element.getAttributeNames()),
    text: holder.textContent,
    hit: window.hit ?? null,
  };
  holder.remove();
  return found;
}"""


def test_nothing_in_a_text_becomes_code(open_page: Callable[..., object]) -> None:
    page = open_page(PAGE)
    allowed = {*("p", "div", "pre", "code", "a", "em", "strong", "del", "ul", "ol", "li", "br")}
    allowed |= {*("table", "thead", "tbody", "tr", "th", "td", "blockquote", "hr", "h3")}
    for text in HOSTILE:
        found = page.evaluate(INSPECT, text)
        assert set(found["tags"]) <= allowed, text
        assert set(found["links"]) <= {"http:", "https:", "mailto:"}, text
        assert not [name for name in found["attributes"] if name.startswith("on")], text
        assert found["hit"] is None, text


SIZE = 300_000
LONG = {
    "backticks": "`" * SIZE,
    "ticks in rising runs": "".join("`" * n + " " for n in range(1, 770)),
    "brackets": "[" * SIZE,
    "closing brackets": "[" * (SIZE // 2) + "]" * (SIZE // 2),
    "empty links": "[](" * (SIZE // 3),
    "links with one parenthesis": "[](" * (SIZE // 3) + ")",
    "links and parentheses": ("[](" * 600 + ")") * (SIZE // 1801),
    "stars": "*" * SIZE,
    "open emphasis": "*a **b " * (SIZE // 7),
    "nested emphasis": "*a " * (SIZE // 6) + "a* " * (SIZE // 6),
    "mixed emphasis": "*_~~**a" * (SIZE // 7),
    "quotes": ">" * SIZE,
    "quote lines": "> " * 50 + "a\n" + "> a\n" * (SIZE // 4),
    "list markers": "- + " * (SIZE // 4),
    "list lines": "-\n" * (SIZE // 2),
    "indented lists": "".join(" " * (2 * (n % 200)) + "- a\n" for n in range(1400)),
    "numbers": "1" * SIZE,
    "rule and then not": "- " * (SIZE // 2) + "x",
    "spaces": "a" + " " * SIZE + "b",
    "spaces in a link": "[a](" + " " * SIZE + ")",
    "table": "|" * (SIZE // 3) + "\n" + "|-" * (SIZE // 3) + "\n" + "|\n" * (SIZE // 6),
    "table heads": "a|b\n" * (SIZE // 4),
    "table delimiters": "|-|\n" * (SIZE // 4),
    "addresses": "http://%%" * (SIZE // 9),
    "one long address": "http://a.b/" + "c" * SIZE,
    "angles": "<" * SIZE,
    "entities": "&" * SIZE,
    "backslashes": "\\" * SIZE,
    "lines": "\n" * SIZE,
    "carriage returns": "\r" * SIZE,
    "hashes": "#" * SIZE + " " + "# " * 100,
    "fences": "```\n" * (SIZE // 4),
    "tabs": "\t" * SIZE + "- a",
}

TIMED = """async ([text, whole]) => {
  const { renderMarkdown, MarkdownView } = await import("/static/markdown.js");
  const holder = document.createElement("div");
  if (whole) holder.append(renderMarkdown(text));
  else new MarkdownView(holder).update(text);
  return holder.textContent.length;
}"""


@pytest.mark.parametrize("name", LONG)
def test_hostile_length_costs_linear_time(open_page: Callable[..., object], name: str) -> None:
    # 300 kB: what is quadratic needs minutes and runs into the bound, what is linear a second.
    page = open_page(PAGE)
    page.set_default_timeout(HANG_MS)
    for whole in (True, False):
        handle = page.wait_for_function(
            f"async (input) => ({{ length: await ({TIMED})(input) }})",
            arg=[LONG[name], whole],
            timeout=HANG_MS,
        )
        assert handle.json_value()["length"] <= SIZE * 2
    assert page.evaluate("document.title")


GROWING = """# Title

Some *text* with `code`, a [link](https://x.y/z) and **bold
over lines**.

1. one

2. two
   - inner

     ```python
     x = 1
     ```
3. three

| a | b |
|---|--:|
| 1 | 2 |

> quote
> - list

```js
const a = `b`;

// **not bold**
```

- [ ] task
* * *
The end: https://x.y/a?b=c."""


def test_a_growing_text_ends_as_the_whole_one(
    open_page: Callable[..., object], seeded: random.Random
) -> None:
    page = open_page(PAGE)
    everywhere = list(range(len(GROWING)))
    cuts = [everywhere]
    cuts += [sorted(seeded.sample(everywhere, seeded.randrange(1, 60))) for _ in range(30)]
    for cut in cuts:
        grown, whole = page.evaluate(GROW, [GROWING, cut])
        assert grown == whole, cut
    text = GROWING.replace("\n", "\r\n")
    grown, whole = page.evaluate(GROW, [text, list(range(len(text)))])
    assert grown == whole


def test_half_finished_markdown_looks_finished(open_page: Callable[..., object]) -> None:
    page = open_page(PAGE)
    shown = {
        "a **bol": "<p>a <strong>bol</strong></p>",
        "a `cod": "<p>a <code>cod</code></p>",
        "- a **b": "<ul><li>a <strong>b</strong></li></ul>",
        "5 * 3": "<p>5 * 3</p>",
        "[a](https://x.y/z": f'<p><a href="https://x.y/z" {A}>a</a></p>',
    }
    for text, expected in shown.items():
        assert page.evaluate(STREAMED, text) == expected
