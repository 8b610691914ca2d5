"""Documents that are made from code are up to date."""

from service.tables.bundle import find, read
from service.tables.schema import TABLES
from service.tables.schema.dictionary import dictionary
from tests.environment import ROOT


def test_the_data_dictionary_is_that_of_the_schema():
    """If this fails: make docs."""
    assert (ROOT / "docs" / "tables.md").read_text() == dictionary()


def test_results_that_lie_here_are_of_this_version():
    """If this fails: what they say is no longer what this code gives. Run them again, and
    grok export-results; or delete them."""
    for folder in find(ROOT / "results"):
        read(folder)


def test_every_column_has_a_type_a_meaning_and_a_source():
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert set(table.key) <= set(names), table.name
        assert len(names) == len(set(names)), table.name
        for column in table.columns:
            assert column.meaning, (table.name, column.name)
            assert column.source or table.source, (table.name, column.name)
