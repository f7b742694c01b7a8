"""What there is to cite is the package as it is, in every place that says so."""

import re
from pathlib import Path

import yaml

import link

ROOT = Path(__file__).parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PAGE = (ROOT / "book" / "cite.md").read_text()
BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text()


def test_the_software_is_the_record_and_the_paper_a_reference():
    assert CITATION["version"] == link.__version__
    assert CITATION["type"] == "software"
    assert "preferred-citation" not in CITATION, "GitHub would offer the paper alone"
    (paper,) = CITATION["references"]
    entry = BIBLIOGRAPHY.split("@misc{wang2024link,")[1].split("\n}")[0]
    number = re.search(r"eprint = \{(.+)\}", entry).group(1)
    assert paper["url"] == f"https://arxiv.org/abs/{number}"
    for author in paper["authors"]:
        assert f"{author['family-names']}, {author['given-names']}" in entry


def test_the_page_has_the_same_software_as_the_file():
    fields = dict(re.findall(r"^  (\w+) = \{(.+)\},$", PAGE, flags=re.MULTILINE))
    plain = {name: re.sub("[{}]", "", value) for name, value in fields.items()}
    assert plain["title"] == CITATION["title"]
    assert plain["author"] == CITATION["authors"][0]["name"]
    assert plain["version"] == CITATION["version"]
    assert plain["year"] == str(CITATION["date-released"])[:4]
