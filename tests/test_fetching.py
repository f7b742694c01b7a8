"""Fetching with the hub's real client from a server that misbehaves."""

import hashlib

import pytest
from hub_server import COMMIT, Hub, serve, used
from huggingface_hub import constants

from link import fetching
from link.fetching import FetchError, Remote, fetch, locate

CONTENT = bytes(range(256)) * 1024
NAME = "CLIP.zip"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", ())
    with serve(Hub({NAME: CONTENT}, {})) as running, used(running, monkeypatch):
        yield running


def located() -> Remote:
    return locate("somebody/features", NAME)


def test_the_hub_tells_size_and_checksum(hub):
    remote = located()
    assert (remote.size, remote.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert remote.page == f"{hub.address}/datasets/somebody/features/blob/main/{NAME}"


def test_a_file_arrives_whole_with_progress_and_without_noise(hub, tmp_path, capfd):
    told = []
    fetch(located(), tmp_path / NAME, lambda done, total: told.append((done, total)))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]
    assert told == sorted(told) and told[-1] == (len(CONTENT), len(CONTENT))
    assert capfd.readouterr() == ("", "")


def test_the_token_goes_to_the_hub_and_to_nobody_else(hub, tmp_path):
    fetch(located(), tmp_path / NAME)
    assert hub.tokens.pop(f"/bytes/{NAME}") is None
    assert set(hub.tokens.values()) == {"Bearer hf_secret"}


def test_the_bytes_are_asked_for_at_the_commit_that_was_announced(hub, tmp_path):
    fetch(located(), tmp_path / NAME)
    revisions = [path.split("/")[5] for _, path, _ in hub.requests if "/resolve/" in path]
    assert revisions == ["main", COMMIT]


def test_the_next_call_goes_on_where_the_line_broke(hub, tmp_path, capfd):
    hub.break_after[NAME] = [100_000]
    with pytest.raises(FetchError, match=rf"{NAME} cannot be fetched \(.*what has come is kept"):
        fetch(located(), tmp_path / NAME)
    assert not (tmp_path / NAME).exists()
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert hub.fetched(NAME) == [None, "bytes=100000-"]
    assert capfd.readouterr() == ("", "")


def test_one_call_outlasts_any_number_of_breaks_that_bring_something(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", (0,))
    hub.break_after[NAME] = [50_000, 100_000, 150_000, 200_000]
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert hub.fetched(NAME)[1:] == [f"bytes={n}-" for n in (50_000, 100_000, 150_000, 200_000)]


def test_breaks_that_bring_nothing_end_it(hub, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(fetching, "PAUSES", (1, 2))
    monkeypatch.setattr(fetching.time, "sleep", waited.append)
    hub.break_after[NAME] = [50_000] * 9
    with pytest.raises(FetchError, match="what has come is kept"):
        fetch(located(), tmp_path / NAME)
    assert hub.fetched(NAME) == [None, *["bytes=50000-"] * 2]
    assert waited == [1, 2]


def test_a_server_that_cannot_go_on_sends_the_whole_again(hub, tmp_path):
    hub.ranges = False
    hub.break_after[NAME] = [100_000]
    with pytest.raises(FetchError):
        fetch(located(), tmp_path / NAME)
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_gone_on_with(hub, tmp_path):
    hub.break_after[NAME] = [100_000]
    with pytest.raises(FetchError):
        fetch(located(), tmp_path / NAME)
    hub.files[NAME] = CONTENT[::-1]
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT[::-1]
    assert hub.fetched(NAME) == [None, None]
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]


@pytest.mark.parametrize("announced", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_file_of_another_size_is_refused(hub, tmp_path, announced):
    hub.announced[NAME] = {"X-Linked-Size": str(announced)}
    with pytest.raises(
        FetchError, match=f"has {len(CONTENT)} bytes .* where {announced} were ann"
    ):
        fetch(located(), tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


def test_a_damaged_part_is_found_by_the_checksum_and_removed(hub, tmp_path):
    part = located().part(tmp_path / NAME)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(FetchError, match=r"arrived damaged: it has the checksum .* was removed"):
        fetch(located(), tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert hub.fetched(NAME) == ["bytes=1000-", None]


def test_a_part_that_is_too_long_is_not_gone_on_with(hub, tmp_path):
    located().part(tmp_path / NAME).write_bytes(b"x" * (len(CONTENT) + 1))
    fetch(located(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_part_that_is_whole_is_not_fetched_again(hub, tmp_path):
    located().part(tmp_path / NAME).write_bytes(CONTENT)
    fetch(located(), tmp_path / NAME)
    assert hub.fetched(NAME) == []
    assert (tmp_path / NAME).read_bytes() == CONTENT


REFUSALS = [
    (403, "GatedRepo", "given only to those who accept its conditions"),
    (401, "RepoNotFound", r"not open to everybody, or is no longer there .*401.*hf auth login"),
    (404, "RevisionNotFound", r"is not there \(the server answers 404\)"),
    (410, None, "the server answers 410"),
    (503, None, r"cannot be fetched \(the server answers 503\): see that the network is up"),
]


@pytest.mark.parametrize(("status", "code", "told"), REFUSALS)
def test_a_refusal_is_one_sentence_with_the_page(hub, status, code, told):
    hub.status, hub.error_code = status, code
    with pytest.raises(FetchError, match=told) as caught:
        located()
    assert f"{hub.address}/datasets/somebody/features/blob/main/{NAME}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(hub.requests) == 1


def test_a_file_that_is_not_there_is_named(hub):
    with pytest.raises(FetchError, match=r"blob/main/none\.zip is not there"):
        locate("somebody/features", "none.zip")


def test_no_network_is_one_sentence(hub, monkeypatch):
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(FetchError, match=r"cannot be fetched \(ConnectError.*see that the netw"):
        located()


def test_offline_mode_is_told_as_such(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set"):
        located()


def test_a_full_disk_is_not_taken_for_a_broken_line(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", (0,) * 5)

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetch(located(), tmp_path / NAME, full)
    assert len(hub.fetched(NAME)) == 1
