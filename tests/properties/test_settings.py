"""Any text as a place: settings or a SettingsError; and no password is ever shown."""

import pickle
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.settings import Settings, SettingsError, load_settings, without_password
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


@share(5)
@given(SCHEMES, USERS, SECRETS, WORDS, WORDS)
@example("http", "me", "pwa%40bwp", "", "")
def test_no_password_is_left_in_a_text(scheme, user, secret, before, after):
    text = f"{before} {scheme}://{user}:{secret}@host:5432/db?x=1 {after}"
    shown = without_password(text)
    assert secret not in shown
    assert "@host:5432/db?x=1" in shown


@share(5)
@given(
    st.lists(st.tuples(SCHEMES, USERS, SECRETS), min_size=2, max_size=4), st.sampled_from(", \n")
)
def test_no_password_is_left_of_several(uris, gap):
    text = gap.join(f"{scheme}://{user}:{secret}@h/p" for scheme, user, secret in uris)
    shown = without_password(text)
    assert not [secret for *_, secret in uris if secret in shown]
    assert shown.count("***") == len(uris)


@share(2)
@given(st.text(max_size=50))
@example("at 12:30, mail me@example.org")
@example("http://host:5000 and a@b")
@example("see http://localhost:5000/#/x: user@host")
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


@pytest.mark.parametrize("uri", ["https://hunter2@host/x", "http://hunter2:@host/x",
                                 "https://hun@ter2@host/x"])  # fmt: skip
def test_a_token_in_place_of_a_user_is_not_shown(uri):
    assert "ter2" not in without_password(f"MLflow at {uri}: no answer")
    assert "***@host/x: no answer" in without_password(f"MLflow at {uri}: no answer")


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/prefix", "postgresql://me@host/db?sslmode=require", "http://host/#/x@y"],
)
def test_what_is_no_secret_is_shown(uri):
    assert without_password(uri) == uri


def test_settings_for_other_processes_have_no_password_in_the_query(monkeypatch):
    uri = "postgresql://db/mlflow?user=grok&password=hunter2"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    sent = pickle.dumps(load_settings())
    assert b"hunter2" not in sent
    assert pickle.loads(sent).tracking_uri == uri  # taken from the environment there


def test_settings_do_not_show_a_password():
    settings = Settings("/x", "postgresql://me:secret@host/db", "/d", None)
    assert "secret" not in repr(settings)
    assert "secret" not in str(vars(settings).keys())


def test_two_dashes_are_no_store():
    """`--store=--` comes as a list from argparse."""
    with pytest.raises(SettingsError, match="store = '--'"):
        load_settings([])


@pytest.mark.parametrize("place", ["~nobody-of-this-name/x", "x" * 5000, "a\0b", "\ud800"])
@pytest.mark.parametrize("what", ["store", "data_root"])
def test_a_place_that_cannot_be_is_refused(what, place):
    with pytest.raises(SettingsError, match="need a folder"):
        load_settings(**{what: place})


def test_a_password_of_a_user_with_an_at_is_not_shown():
    """SQLAlchemy takes that too, and Azure names users so."""
    assert without_password("postgresql://me@azure:pass@host/db").endswith("@azure:***@host/db")


@pytest.mark.parametrize("secret", ["pa/ss", "p/a:s/s"])
def test_a_password_with_a_slash_is_not_shown(secret):
    """SQLAlchemy takes it as it is."""
    assert secret not in without_password(f"postgresql://me:{secret}@host/db")
