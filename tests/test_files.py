"""A file that takes its place once it is complete."""

import stat

import pytest

from link.files import write_whole


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
