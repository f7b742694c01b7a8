"""Every page can be read by those who do not see it well, in the light and in the dark.

The judge is axe-core, with all its rules. Contrast depends on the theme and takes it by far the
longest, so contrast is judged for one element of each kind: those of the same tags and classes
have the same colours.
"""

import json
from importlib.resources import files

import pytest

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
GRAVE = {"serious", "critical"}

ONE_OF_EACH_KIND = """
() => {
  const kinds = new Map();
  const says = node => node.nodeType === Node.TEXT_NODE && node.textContent.trim();
  const named = element => element ? `${element.tagName}.${element.className} ` : "";
  for (const element of document.body.querySelectorAll("*:not(script):not(style)")) {
    if (![...element.childNodes].some(says) || !element.checkVisibility()) continue;
    const above = element.parentElement, further = above?.parentElement;
    const kind = named(element) + named(above) + named(further) + named(further?.parentElement);
    if (!kinds.has(kind)) kinds.set(kind, element);
  }
  return [...kinds.values()];
}
"""


def findings(page, where: str, options: dict) -> list[str]:
    """What axe-core finds serious or critical, with the first element that it objects to."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    options = {"resultTypes": ["violations"], "iframes": False, "preload": False, **options}
    violations = page.evaluate(
        f"async () => (await axe.run({where}, {json.dumps(options)})).violations"
    )
    return [
        f"{each['id']} ({each['impact']}, {len(each['nodes'])} times): {each['nodes'][0]['html']}"
        for each in violations
        if each["impact"] in GRAVE
    ]


def test_the_page_has_no_serious_fault(visit):
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    assert (
        findings(visit.page, "document", {"rules": {"color-contrast": {"enabled": False}}}) == []
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_text_stands_out(visit, theme):
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    visit.page.evaluate(f"() => {{ document.documentElement.dataset.theme = '{theme}'; }}")
    # Colours that fade from one theme to the other would be judged half way.
    visit.page.add_style_tag(content="*, *::before, *::after { transition: none !important; }")
    kinds = f"({ONE_OF_EACH_KIND})()"
    assert findings(visit.page, kinds, {"runOnly": ["color-contrast"]}) == []
