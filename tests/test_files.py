"""A file that takes its place once it is complete."""

import stat

import pytest

from link import files
from link.errors import LinkError
from link.files import make_writable, write_whole, writing


def test_the_new_content_replaces_the_old(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        write_whole(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, b"old"])
def test_an_interrupted_write_leaves_everything_as_it_was(tmp_path, before):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, interrupted)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before] * (before is not None)


def test_a_file_is_as_readable_as_its_folder(tmp_path):
    tmp_path.chmod(0o755)
    write_whole(tmp_path / "file", lambda file: file.write(b""))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_the_longest_name_that_a_file_may_have_is_written(tmp_path):
    path = tmp_path / ("é" * 127 + "x")
    write_whole(path, lambda file: file.write(b"content"))
    assert path.read_bytes() == b"content"


def full(*_, **__):
    raise OSError(28, "No space left on device", "of-a-temporary-file")


def test_what_cannot_be_written_is_told_by_the_name_asked_for(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(LinkError) as told:
        write_whole(path, full)
    expected = f"{path} cannot be written (No space left on device): make room, or name another"
    assert str(told.value).startswith(expected) and not list(tmp_path.iterdir())
    with pytest.raises(LinkError, match=r"none/file cannot be written \(No such file"):
        write_whole(tmp_path / "none" / "file", lambda file: None)


def test_other_errors_while_writing_are_not_told_as_such(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        1 / 0  # noqa: B018


def test_a_folder_made_for_a_result_is_known_to_take_it(tmp_path, monkeypatch):
    wanted = tmp_path / "new" / "deep" / "result.json"
    make_writable(wanted.parent, wanted)
    assert wanted.parent.is_dir() and not list(wanted.parent.iterdir())
    monkeypatch.setattr(files.tempfile, "TemporaryFile", full)
    with pytest.raises(LinkError, match=r"result\.json cannot be written \(No space left"):
        make_writable(wanted.parent, wanted)
