"""Any text as a place: settings or a SettingsError; and no password is ever shown."""

import pickle
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.settings import SettingsError, load_settings, without_password
from tests.properties.strategies import share

NAMES = ("GROK_STORE", "MLFLOW_TRACKING_URI", "GROK_DATA", "AWS_ENDPOINT_URL_S3")
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    st.sampled_from(["", " ", "s3://", "s3://b", "s3:///p", "s3://b/p", "S3://b", "gs://b/p", "~"]),
    st.sampled_from(
        ["file:///x", "http://u:p@h:5", "sqlite:///x.db", "/", ".", "..", "//", "a://"]
    ),
)


def could_be(text):
    """Not the home of a user who does not exist: see the end of this file."""
    return text == "~" or not text.startswith("~")


SCHEMES = st.sampled_from(["http", "https", "postgresql", "postgresql+psycopg2", "mysql", "s3"])
USERS = st.one_of(
    st.just(""),
    st.text(min_size=1, max_size=8).map(lambda s: quote(s.encode("utf-8", "replace"), safe="")),
)
SECRETS = st.text("abcdefghXYZ0123456789:/@?#[]%!$&'()*+,;= é∘", min_size=4, max_size=12).map(
    lambda s: "pw" + quote(s, safe="") + "wp"
)
GAPS = st.sampled_from(", \n")
WORDS = st.text("abc @:/.,()'\"\n", max_size=8)


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@share(3)
@given(values=st.dictionaries(st.sampled_from(NAMES), TEXTS.filter(could_be)))
@example({"GROK_STORE": "s3://"})
@example({"GROK_STORE": ""})
def test_any_environment_gives_settings_or_is_refused(tmp_path, values):
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.delenv(name, raising=False)
        for name, value in values.items():
            patch.setenv(name, value)
        try:
            found = load_settings()
        except SettingsError as refusal:
            error = str(refusal)
        else:
            assert found.store.startswith(("/", "s3://")) or not found.store  # the root
            assert found.tracking_uri
            return
    assert "need " in error or " is not set" in error
    assert not list(tmp_path.iterdir())


@share(10)
@given(st.lists(st.tuples(SCHEMES, USERS, SECRETS), min_size=1, max_size=4), GAPS, WORDS, WORDS)
@example([("http", "me", "pwa%40bwp")], " ", "", "")
def test_no_password_is_left_in_a_text(uris, gap, before, after):
    text = gap.join(f"{scheme}://{user}:{secret}@h:5432/p?x=1" for scheme, user, secret in uris)
    shown = without_password(f"{before} {text} {after}")
    assert not [secret for *_, secret in uris if secret in shown]
    assert shown.count("***@h:5432/p?x=1") == len(uris)


@share(2)
@given(st.text(max_size=50))
@example("at 12:30, mail me@example.org")
@example("http://host:5000 and a@b")
@example("see http://localhost:5000/#/x: user@host")
@example("s3://bucket/prefix")
def test_a_text_without_credentials_stays_as_it_is(text):
    if "://" not in text or "@" not in text.split("://", 1)[1]:
        assert without_password(text) == text


@share(3)
@given(SCHEMES, st.sampled_from("?&"), st.sampled_from(["", "ssl"]), SECRETS, GAPS)
def test_no_password_is_left_in_a_query(scheme, mark, kind, secret, gap):
    """Where SQLAlchemy and libpq take it too."""
    shown = without_password(f"{scheme}://db/x{mark}{kind}password={secret}&user=me{gap}y")
    assert secret not in shown
    assert f"{scheme}://db/x{mark}{kind}password=***" in shown
    assert "y" in shown


@pytest.mark.parametrize(
    ("uri", "secret", "shown"),
    [
        ("https://hunter2@host/x", "ter2", "***@host/x"),
        ("http://hunter2:@host/x", "ter2", "***@host/x"),
        ("https://hun@ter2@host/x", "ter2", "***@host/x"),
        # what SQLAlchemy takes as it is: a user with an @, as Azure names them, a slash
        ("postgresql://me@azure:pass@host/db", "pass", "@azure:***@host/db"),
        ("postgresql://me:pa/ss@host/db", "pa/ss", "@host/db"),
        ("postgresql://me:p/a:s/s@host/db", "p/a:s/s", "@host/db"),
    ],
)
def test_a_secret_in_an_odd_place_is_not_shown(uri, secret, shown):
    text = without_password(f"MLflow at {uri}: no answer")
    assert secret not in text
    assert f"{shown}: no answer" in text


def test_settings_for_other_processes_have_no_password_in_the_query(monkeypatch):
    uri = "postgresql://db/mlflow?user=grok&password=hunter2"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    settings = load_settings()
    sent = pickle.dumps(settings)
    assert b"hunter2" not in sent
    assert "hunter2" not in repr(settings)
    assert pickle.loads(sent).tracking_uri == uri  # taken from the environment there


@pytest.mark.parametrize("place", ["~nobody-of-this-name/x", "x" * 5000, "a\0b", "\ud800"])
@pytest.mark.parametrize("what", ["store", "data_root"])
def test_a_place_that_cannot_be_is_refused(what, place):
    with pytest.raises(SettingsError, match="store = '--'"):
        load_settings([])  # as argparse gives `--store=--`
    with pytest.raises(SettingsError, match="need a folder"):
        load_settings(**{what: place})
