"""The promises that no single module makes: pins, imports, notebooks, pages."""

import ast
import csv
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from jupytext.compare import compare_notebooks
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted(
    path for top in ("book", "link", "notebooks", "tests") for path in (ROOT / top).rglob("*.py")
)
MODULES = sorted(path.stem for path in (ROOT / "link").glob("*.py"))
# Modules that chapters, tests and the builder of the pages import; a chapter's script has no
# importable name.
HELPERS = {
    path.stem for top in ("book/_ext", "notebooks") for path in (ROOT / top).glob("[a-z]*.py")
}
# The distributions that bring each importable name.
PROVIDERS = importlib.metadata.packages_distributions()
# These stand on an extra; every other module has to import where only torch and numpy are.
BEYOND_CORE = {"__main__", "cli", "console", "plots"}

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", entry) for entry in entries), entries
    names = [canonicalize_name(entry.split("==")[0]) for entry in entries]
    assert len(names) == len(set(names)), "a package is pinned twice"
    return dict(zip(names, (entry.split("==")[1] for entry in entries), strict=True))


def requirements(*groups: list[str]) -> list[Requirement]:
    found = [Requirement(text) for group in groups for text in group]
    return [each for each in found if each.name != PROJECT["name"]]


# ---- versions ----


@pytest.mark.parametrize(
    "requirement",
    requirements(PROJECT["dependencies"], *EXTRAS.values()),
    ids=lambda each: each.name,
)
def test_every_dependency_is_pinned_within_its_bounds(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_torch_is_the_version_the_book_was_run_with():
    assert pins()["torch"] == "2.13.0"


def test_the_core_asks_for_torch_and_numpy_alone():
    assert {each.name for each in requirements(PROJECT["dependencies"])} == {"numpy", "torch"}


def test_no_file_but_the_constraints_pins_a_version():
    exact = [each for each in requirements(*EXTRAS.values()) if "==" in str(each.specifier)]
    assert not exact
    assert not re.search(r"\w==\d", (ROOT / "environment.yml").read_text())
    assert not re.search(r"\w==\d", (ROOT / "Makefile").read_text())


def test_conda_installs_what_make_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    python = conda.pop(0)
    assert conda == ["pip", "make"], "conda names a version or a package of its own"
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])
    installed = re.search(r"--editable '(.+?)'", (ROOT / "Makefile").read_text()).group(1)
    assert pip["pip"] == ["--constraint constraints.txt", f"--editable {installed}"]


# ---- imports ----


def closure(*names: str) -> set[str]:
    """The distributions that these need in this environment, themselves included."""
    found, waiting = set(), [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return found


def test_the_core_imports_where_only_torch_and_numpy_are_installed(tmp_path):
    for name in closure("torch", "numpy"):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(distribution.locate_file(top))
    (tmp_path / "link").symlink_to(ROOT / "link")
    core = [name for name in MODULES if name not in BEYOND_CORE]
    imports = "".join(f"import link.{name}\n" for name in core if name != "__init__")
    # -S leaves out the environment's own packages, so that the folder above is all there is.
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import link, torch, numpy\n{imports}"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def imported(source: Path) -> set[str]:
    """The importable names that a file asks for, without their submodules."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(source):
    neighbours = {path.stem for path in source.parent.glob("*.py")}
    names = imported(source) - {"link", *sys.stdlib_module_names, *neighbours, *HELPERS}
    declared = {
        canonicalize_name(each.name)
        for each in requirements(PROJECT["dependencies"], *EXTRAS.values())
    }
    undeclared = {
        name
        for name in names
        if not declared & {canonicalize_name(provider) for provider in PROVIDERS.get(name, [])}
    }
    assert not undeclared


# ---- notebooks ----


@each_notebook
def test_a_notebook_and_its_pair_say_the_same(notebook):
    script = notebook.with_suffix(".py")
    assert script.exists(), f"{script.name} is missing: run `make sync`"
    compare_notebooks(
        jupytext.read(script),
        nbformat.read(notebook, as_version=4),
        fmt="py:percent",
        raise_on_first_difference=True,
    )


@pytest.mark.parametrize(
    "script", sorted((ROOT / "notebooks").glob("[0-9]*.py")), ids=lambda path: path.stem
)
def test_no_script_has_lost_its_notebook(script):
    assert script.with_suffix(".ipynb").exists(), "run `make sync`"


@each_notebook
def test_a_notebook_is_stored_as_one_run_from_top_to_bottom(notebook):
    cells = [each for each in nbformat.read(notebook, as_version=4).cells if each.source.strip()]
    code = [each for each in cells if each.cell_type == "code"]
    assert [each.execution_count for each in code] == list(range(1, len(code) + 1))
    outputs = [output for each in code for output in each.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]


@each_notebook
def test_a_notebook_is_made_of_short_cells(notebook):
    for cell in nbformat.read(notebook, as_version=4).cells:
        lines = cell.source.splitlines()
        assert max(map(len, lines), default=0) <= 99, max(lines, key=len)
        assert cell.cell_type != "code" or len(lines) <= 25, cell.source


@each_notebook
def test_every_figure_has_a_text_for_those_who_do_not_see_it(notebook):
    for cell in nbformat.read(notebook, as_version=4).cells:
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(text.split()) > 2, f"no alternative text (mystnb image alt):\n{cell.source}"


# A decimal number, or a percentage; `(?<!...)` leaves out parts of names, versions and sections.
NUMBER = re.compile(r"(?<![\w.])(\d[\d,]*\.\d+|\d[\d,.]*(?=\s?(?:%|percent)))(?![\w.]*\d)")


def typed_numbers(cells: list) -> set[str]:
    """Numbers in a notebook's prose that one of its cells prints.

    Those of one digit, such as 0.5, are left out: prose gives settings and limits so, and any of
    them may turn up among results.
    """
    prose, printed = "", ""
    for cell in cells:
        if cell.cell_type == "markdown":
            prose += re.sub(r"\$\$.*?\$\$|\$.*?\$|`.*?`", " ", cell.source, flags=re.DOTALL)
        for output in cell.get("outputs", []):
            # What `source` shows is code, and its numbers are not results.
            data = output.get("data", {})
            if "text/markdown" not in data:
                printed += "\n" + output.get("text", data.get("text/plain", ""))
    typed = {number for number in NUMBER.findall(prose) if len(number.strip("0.,")) > 1}
    return typed & set(re.findall(r"\d[\d,]*(?:\.\d+)?", printed))


@each_notebook
def test_no_number_that_a_cell_computes_is_typed_into_prose(notebook):
    typed = typed_numbers(nbformat.read(notebook, as_version=4).cells)
    assert not typed, "let a cell say it, and let prose say how to read it"


def test_typed_numbers_are_found():
    def shown(prose: str, printed: str) -> set[str]:
        code = nbformat.v4.new_code_cell("f()")
        code.outputs = [nbformat.v4.new_output("stream", text=printed)]
        return typed_numbers([nbformat.v4.new_markdown_cell(prose), code])

    assert shown("It gains 1.37 points.", "gain 1.37 [0.2, 2.5]") == {"1.37"}
    assert shown("It holds 42 % of all.", "42") == {"42"}
    assert shown("It holds 42% of all.", "share 42%") == {"42"}
    assert shown("It gains 1.37 points.", "gain 11.37") == set()
    assert shown("Halves, so 0.5 each, and 100 %.", "0.5 100") == set()
    assert shown("At $s = 0.25$ and in `f(0.25)`.", "0.25") == set()
    assert shown("Ten of 25 classes, arXiv 2412.20872.", "25 classes 2412") == set()


# ---- pages ----


def contents() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def test_the_contents_list_every_page_and_only_pages_that_exist():
    pages = [*NOTEBOOKS, *(ROOT / "book").rglob("*.md")]
    assert sorted(contents()) == sorted(
        str(page.relative_to(ROOT).with_suffix("")) for page in pages
    )


def test_the_api_pages_have_every_module_once_under_its_name():
    described = []
    for page in sorted((ROOT / "book" / "api").glob("*.md")):
        text = page.read_text()
        modules = re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE)
        assert re.findall(r"^## (link\.\S+)$", text, re.MULTILINE) == modules, page.name
        described += modules
    public = {f"link.{name}" for name in MODULES if not name.startswith("__")} | {"link.plots"}
    assert sorted(described) == sorted(public), "add each new module to a page of book/api"


def test_the_readme_shows_both_commands_in_its_first_screen():
    first_screen = (ROOT / "README.md").read_text().splitlines()[:40]
    for command in ("make book", "make test", "conda env create -f environment.yml"):
        assert any(re.match(rf"\s*{command}( |$)", line) for line in first_screen), command


def test_the_example_of_the_readme_runs():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 0 <= float(done.stdout) <= 100


def test_published_figures_are_quoted_exactly():
    source = SHARED / "published" / "llp_results.csv"
    if not source.exists():
        pytest.skip(f"{source} is absent, so there is nothing to compare with")
    columns = ["audio", "visual", "audio_visual", "type", "event"]
    papers = {"jomold": "JoMoLD", "link": "LINK"}
    with source.open() as file:
        published = list(csv.DictReader(file))
    for level in ("segment", "event"):
        with (ROOT / "book" / f"published_{level}.csv").open() as file:
            quoted = list(csv.reader(file))[1:]
        assert quoted == [
            [row["method"], row["year"], papers[row["source"]]]
            + [row[f"{level}_{column}"] for column in columns]
            for row in published
        ]


# ---- the repository ----


def test_the_workflow_checks_and_publishes_what_make_builds():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    assert workflow[True]["push"] == {"branches": ["main"]}
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    steps = build["steps"] + publish["steps"]
    actions = dict(step["uses"].split("@") for step in steps if "uses" in step)
    assert all(re.fullmatch(r"v\d+", version) for version in actions.values()), actions
    with_options = {
        step["uses"].split("@")[0]: step.get("with") for step in steps if "uses" in step
    }

    makefile = (ROOT / "Makefile").read_text()
    commands = [step["run"].split() for step in steps if "run" in step]
    assert [command[:2] for command in commands] == [["make", "test"], ["make", "book"]]
    for _, target, *_ in commands:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    pages = re.search(r"^PAGES := \$\(BUILD\)/(.+)$", makefile, re.MULTILINE).group(1)
    assert with_options["actions/upload-pages-artifact"]["path"] == f"_build/{pages}"
    python = with_options["actions/setup-python"]["python-version"]
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(python)

    assert workflow["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert publish["needs"] == "build"
    assert "actions/deploy-pages" in actions
    assert workflow["concurrency"]["group"] == "pages"


def test_no_file_names_a_folder_of_the_machine_it_was_written_on():
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("this copy is not a git checkout, so there is no list of tracked files")
    private = re.compile(rb"(?<![\w.~/-])/(home|root|tmp|Users)/\w")
    here = str(ROOT).encode()
    offenders = [
        name
        for name in listing.stdout.split("\0")
        if name and (ROOT / name).is_file()
        for content in [(ROOT / name).read_bytes()]
        if private.search(content) or here in content
    ]
    assert not offenders
