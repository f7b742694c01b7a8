"""What the pages say to screen readers of lists."""

from list_roles import with_known_roles


def test_entries_of_a_bibliography_are_list_items():
    list_of_works = '<div role="list"><div class="citation" role="doc-biblioentry">A</div></div>'
    assert with_known_roles(list_of_works) == (
        '<div role="list"><div class="citation" role="listitem">A</div></div>'
    )
    assert with_known_roles("<p>doc-biblioentry</p>") == "<p>doc-biblioentry</p>"
