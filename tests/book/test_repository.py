"""Buttons that need an address are there when one is told, and not made up when none is."""

from repository import COLAB, theme_options


def test_without_an_address_the_theme_is_told_nothing():
    assert theme_options({}) == {}
    assert theme_options({"BOOK_REPOSITORY": "", "BOOK_BRANCH": "main"}) == {}


def test_an_address_turns_the_buttons_on():
    options = theme_options({"BOOK_REPOSITORY": "https://github.com/someone/book/"})
    assert options["repository_url"] == "https://github.com/someone/book"
    assert options["repository_branch"] == "main"
    assert options["use_repository_button"] is True
    assert options["launch_buttons"] == {"colab_url": COLAB}


def test_another_branch_can_be_named():
    told = {"BOOK_REPOSITORY": "https://github.com/someone/book", "BOOK_BRANCH": "draft"}
    assert theme_options(told)["repository_branch"] == "draft"
