"""However a journal is left, what it says again is what was committed."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link.errors import LinkError
from link.journal import Journal

NAMES = st.sampled_from(["a", "b", "lines.jsonl"])
STATES = st.none() | st.integers(-3, 3) | st.lists(st.text(max_size=3), max_size=2)
STEPS = st.one_of(
    st.tuples(st.just("append"), NAMES, st.binary(max_size=9)),
    st.tuples(st.just("commit"), STATES),
    st.tuples(st.just("reopen")),
    # What a process that is killed in the middle of `append` or `commit` leaves behind.
    st.tuples(st.just("half an append"), NAMES, st.binary(min_size=1, max_size=9)),
    st.tuples(st.just("half a commit")),
)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_reopened_it_holds_what_was_committed_and_nothing_else(tmp_path_factory, steps):
    folder = tmp_path_factory.getbasetemp() / uuid.uuid4().hex
    journal = Journal(folder, {"made": "by a test"})
    committed, appended, state = {}, {}, None
    for kind, *given_ in [*steps, ("reopen",)]:
        if kind == "append":
            name, content = given_
            journal.append(name, content)
            appended[name] = appended.get(name, b"") + content
        elif kind == "commit":
            (state,) = given_
            journal.commit(state)
            committed = dict(appended)
        else:
            journal.__exit__()
            if kind == "half an append":
                with open(folder / given_[0], "ab") as file:
                    file.write(given_[1])
            elif kind == "half a commit":
                (folder / ".commit.json.x7").write_text('{"identity": ')
            journal = Journal(folder, {"made": "by a test"})
            appended = dict(committed)
            assert journal.state == state
            found = files(folder)
            assert {key: found[key] for key in found.keys() - {"lock", "commit.json"}} == committed
    journal.remove()
    journal.__exit__()
    assert not folder.exists()


def interrupted(folder: Path) -> dict[str, bytes]:
    """A journal with a commit, and with what was appended after it."""
    with Journal(folder, {"group": 8}) as journal:
        journal.append("rows", b"12345678")
        journal.commit({"rows": 1})
        journal.append("rows", b"9")
    return files(folder)


def test_the_same_identity_finds_it_again_and_another_finds_nothing(tmp_path):
    interrupted(tmp_path)
    with Journal(tmp_path, {"group": 8}) as journal:
        assert journal.state == {"rows": 1}
        assert journal.path("rows").read_bytes() == b"12345678"
    with Journal(tmp_path, {"group": 9}) as journal:
        assert journal.state is None
        assert files(tmp_path).keys() == {"lock"}
        journal.append("rows", b"x")
        journal.commit(7)
    with Journal(tmp_path, {"group": 9}) as journal:
        assert journal.state == 7
        assert journal.path("rows").read_bytes() == b"x"


def test_an_identity_is_the_same_before_and_after_json(tmp_path):
    for _ in range(2):
        with Journal(tmp_path, {"scales": (1.0, 100.00000762939453), 3: None}) as journal:
            state = journal.state
            journal.commit("there")
    assert state == "there"


def test_files_that_are_not_its_own_are_removed(tmp_path):
    interrupted(tmp_path)
    (tmp_path / "notes.txt").write_text("of a version to come")
    with Journal(tmp_path, {"group": 8}) as journal:
        assert journal.state == {"rows": 1}
        assert files(tmp_path).keys() == {"lock", "commit.json", "rows"}


COMMIT = {"identity": {"group": 8}, "sizes": {"rows": 8}, "state": {"rows": 1}}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"[1]",
        b"null",
        json.dumps(COMMIT)[:-9].encode(),
        *(
            json.dumps({key: value for key, value in COMMIT.items() if key != left_out}).encode()
            for left_out in COMMIT
        ),
        json.dumps({**COMMIT, "sizes": [8]}).encode(),
        json.dumps({**COMMIT, "sizes": {"rows": "8"}}).encode(),
        json.dumps({**COMMIT, "sizes": {"rows": 10}}).encode(),
        json.dumps({**COMMIT, "sizes": {"rows": 8, "gone": 1}}).encode(),
    ],
)
def test_with_a_damaged_commit_it_begins_anew(tmp_path, damaged):
    interrupted(tmp_path)
    (tmp_path / "commit.json").write_bytes(damaged)
    with Journal(tmp_path, {"group": 8}) as journal:
        assert journal.state is None
        assert files(tmp_path).keys() == {"lock"}


def test_a_whole_commit_of_that_form_is_read(tmp_path):
    """What the test above damages counts as long as it is not damaged."""
    interrupted(tmp_path)
    (tmp_path / "commit.json").write_text(json.dumps(COMMIT))
    with Journal(tmp_path, {"group": 8}) as journal:
        assert journal.state == {"rows": 1}


def test_another_process_is_kept_out_and_let_in_afterwards(tmp_path):
    call = "import sys, pathlib; from link.journal import Journal\n"
    call += "Journal(pathlib.Path(sys.argv[1]), {}).commit(1)"
    command = [sys.executable, "-c", call, str(tmp_path)]
    root = str(Path(__file__).parents[1])
    with Journal(tmp_path, {}) as journal:
        done = subprocess.run(command, capture_output=True, text=True, cwd=root)
        assert done.returncode == 1
        assert f"another process is at work in {tmp_path}: wait until" in done.stderr
        with pytest.raises(LinkError, match="another process"):
            Journal(tmp_path, {})
        journal.commit(2)
    with Journal(tmp_path, {}) as journal:
        assert journal.state == 2
    subprocess.run(command, check=True, cwd=root)
    with Journal(tmp_path, {}) as journal:
        assert journal.state == 1


def test_a_journal_in_a_folder_that_was_removed_begins_anew(tmp_path):
    folder = tmp_path / "deep" / "journal"
    interrupted(folder)
    shutil.rmtree(folder)
    with Journal(folder, {"group": 8}) as journal:
        assert journal.state is None
