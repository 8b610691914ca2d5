"""What checks found."""


def levels(found):
    return [finding.level for finding in found]


def words(found):
    return "\n".join(map(str, found))


def only(found, level, *said):
    """There is one finding: of this level, with these words."""
    found = list(found)
    assert levels(found) == [level], words(found)
    for part in said:
        assert part in words(found)
