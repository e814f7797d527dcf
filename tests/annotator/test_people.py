"""Who may come in, and who may do what: every route and method for every role."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from annotator import create_app
from annotator.access import EVERYBODY, LEAST
from annotator.cli import main
from annotator.errors import AnnotatorError, NotFound
from annotator.roles import ROLES
from annotator.store import db as store
from annotator.store import people

DOC = Path(__file__).parents[2] / "docs/people.md"
TOKEN = "secret-token"
PASSWORD = "correct horse"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def app(instance):
    return create_app(instance, hosts=frozenset({"box"}), token=TOKEN)


@pytest.fixture
def owner(app) -> FlaskClient:
    """Whoever came by the link of the server."""
    client = app.test_client()
    client.get(f"/?token={TOKEN}")
    return client


def csrf(client: FlaskClient, path: str = "/login") -> str:
    return re.search(r'name="csrf-token" content="([^"]+)"', client.get(path).text)[1]


def send(client: FlaskClient, path: str, **form: str):
    """A form, with its token."""
    return client.post(path, data={"csrf_token": csrf(client), **form})


def link_of(page: str) -> str:
    return re.search(r"http://[^/]+(/invitation/[\w-]+)", page)[1]


def come_in(app, owner: FlaskClient, name: str, role: str = "annotator") -> FlaskClient:
    """Invited by the owner, in with a password."""
    link = link_of(send(owner, "/people", name=name, role=role).text)
    client = app.test_client()
    assert send(client, link, password=PASSWORD).location == "/"
    return client


def account(instance: Path, role: str) -> str:
    """What the session of somebody with this role remembers."""
    db = store.connect(instance / store.FILE)
    with store.write(db):
        row = people.accept(db, people.add(db, role, role), people.hashed(PASSWORD))
    db.close()
    return f"{row['id']}:{row['stamp']}"


def addresses(app) -> list[tuple[str, str, str]]:
    """(endpoint, method, path) of everything there is, and of methods that a path does not have."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<path:.*?>", "app.css", re.sub(r"<int.*?>", "999", rule.rule))
        found += [(rule.endpoint, method, re.sub("<.*?>", "x", path)) for method in sorted(rule.methods)]
    return found


def test_every_address_has_its_line_in_the_table_and_no_other(app):
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == set(LEAST)


@pytest.mark.parametrize("role", ["stranger", *ROLES])
def test_each_role_may_call_what_the_table_says_with_every_method(app, owner, role):
    rank = ["stranger", *ROLES].index(role)
    remembered = None if role == "stranger" else account(Path(app.instance_path), role)
    for endpoint, method, path in addresses(app):
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = remembered
        least = LEAST[endpoint]
        allowed = least == EVERYBODY or rank >= ["stranger", *ROLES].index(least)
        headers = {"X-CSRFToken": csrf(client)}
        answer = client.open(path, method=method, json={}, headers=headers, buffered=True)
        refused = answer.status_code in (401, 403)
        wrong_password = endpoint == "account.login" and method == "POST"  # is refused as well
        assert refused == (not allowed or wrong_password), (role, method, path, answer.status)


def test_what_is_nowhere_is_refused_to_strangers_like_everything_else(app, owner):
    assert app.test_client().get("/no/such/page").status_code == 401
    assert app.test_client().delete("/api/label").status_code == 401
    assert owner.get("/no/such/page").status_code == 404


def test_the_page_of_people_has_the_same_table(app):
    rows = re.findall(r"^\| `([A-Z]+) ([^`]+)` \| (\w+) \|$", DOC.read_text("utf-8"), re.M)
    said = {(method, path): role for method, path, role in rows}
    true = {}
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            path = re.sub(r"<(?:.*?:)?(\w+)>", lambda match: match[1].upper(), rule.rule)
            true[method, path] = LEAST[rule.endpoint] or "everybody"
    assert said == true


def test_an_invitation_lets_one_in_once(app, owner):
    link = link_of(send(owner, "/people", name="Ann <b>", role="annotator").text)
    client = app.test_client()
    page = client.get(link)
    assert "Ann &lt;b&gt;" in page.text
    assert "photos" not in page.text  # the project's name is not a stranger's business
    assert send(client, link, password="short").status_code == 400
    assert send(client, link, password=PASSWORD).location == "/"
    assert client.get("/").status_code == 200
    assert app.test_client().get(link).status_code == 404
    again = app.test_client()
    assert send(again, "/login", name="Ann <b>", password=PASSWORD).location == "/"
    assert again.get("/api/status").status_code == 200


def test_an_invitation_ends_after_a_week_and_when_another_is_made(app, owner, instance):
    first = link_of(send(owner, "/people", name="ann", role="annotator").text)
    db = store.connect(instance / store.FILE)
    number = people.named(db, "ann")["id"]
    second = link_of(send(owner, f"/people/{number}/invite").text)
    assert app.test_client().get(first).status_code == 404
    assert app.test_client().get(second).status_code == 200
    with store.write(db):
        db["people"].update(number, {"invited_until": "2020-01-01T00:00:00.000+00:00"})
    db.close()
    assert app.test_client().get(second).status_code == 404


def test_name_and_password_must_fit(app, owner):
    come_in(app, owner, "ann")
    for name, password in (("ann", "wrong horse"), ("bob", PASSWORD), ("", ""), ("local", ""), ("ann", "")):
        client = app.test_client()
        assert send(client, "/login", name=name, password=password).status_code == 401
        assert client.get("/api/status").status_code == 401


def test_whoever_guesses_too_often_has_to_wait(app):
    client = app.test_client()
    statuses = [send(client, "/login", name="ann", password=str(i)).status_code for i in range(12)]
    assert statuses == [401] * 10 + [429] * 2


def test_another_password_ends_the_sessions_of_the_old_one(app, owner):
    here = come_in(app, owner, "ann")
    there = app.test_client()
    send(there, "/login", name="ann", password=PASSWORD)
    assert send(here, "/account/password", old="wrong", password="battery staple").status_code == 400
    assert send(here, "/account/password", old=PASSWORD, password="battery staple").status_code == 200
    assert here.get("/api/status").status_code == 200
    assert there.get("/api/status").status_code == 401
    assert send(app.test_client(), "/login", name="ann", password=PASSWORD).status_code == 401


def test_whoever_leaves_is_out_at_once_and_comes_back_by_a_new_link(app, owner, instance):
    ann = come_in(app, owner, "ann")
    number = _id(instance, "ann")
    send(owner, f"/people/{number}/leave")
    assert ann.get("/api/status").status_code == 401
    assert send(app.test_client(), "/login", name="ann", password=PASSWORD).status_code == 401
    link = link_of(send(owner, f"/people/{number}/invite").text)
    back = app.test_client()
    assert send(back, link, password=PASSWORD).location == "/"


def test_a_role_counts_from_the_next_request_on(app, owner, instance):
    ann = come_in(app, owner, "ann")
    assert ann.get("/settings").status_code == 403
    assert "Settings" not in ann.get("/").text
    send(owner, f"/people/{_id(instance, 'ann')}/role", role="administrator")
    assert ann.get("/settings").status_code == 200


def _id(instance: Path, name: str) -> int:
    db = store.connect(instance / store.FILE)
    try:
        return people.named(db, name)["id"]
    finally:
        db.close()


def test_answers_are_stored_under_the_name_of_who_gave_them(app, owner, instance):
    ann = come_in(app, owner, "ann")
    headers = {"X-CSRFToken": csrf(ann, "/")}
    (item,) = ann.post("/api/next", json={"tab": "t", "count": 1, "have": []}, headers=headers).json["items"]
    answer = {"tab": "t", "uuid": "u1", "image": item["image"], "kind": "label", "class": 1, "via": "typed"}
    assert ann.post("/api/label", json=answer, headers=headers).status_code == 200
    db = store.connect(instance / store.FILE)
    names = db.execute("SELECT people.name FROM labels JOIN people ON people.id = person_id").fetchall()
    db.close()
    assert names == [("ann",)]


@pytest.mark.parametrize(("role", "status"), [("annotator", 403), ("reviewer", 200)])
def test_only_reviewers_have_the_last_word(app, owner, role, status):
    ann = come_in(app, owner, "ann", role)
    answer = {"tab": "t", "uuid": "u1", "image": 1, "kind": "label", "class": 1, "via": "typed", "review": True}
    assert ann.post("/api/label", json=answer, headers={"X-CSRFToken": csrf(ann, "/")}).status_code == status


def test_a_page_of_somebody_else_is_refused_and_keeps_its_answers(app, owner):
    """Two people share a browser: what the first had kept must not become the second's."""
    ann = come_in(app, owner, "ann")
    headers = {"X-CSRFToken": csrf(ann, "/"), "X-Annotator-Person": "local"}
    refused = ann.post("/api/label", json={}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (410, "other-person")


def test_no_secret_is_kept_as_it_is(app, owner, instance):
    come_in(app, owner, "ann")
    link = link_of(send(owner, "/people", name="bob", role="reviewer").text)
    stored = b"".join(path.read_bytes() for path in instance.glob("labels.db*"))
    for secret in (PASSWORD, link.rpartition("/")[2]):
        assert secret.encode() not in stored


@pytest.mark.parametrize("name", ["", "  ", "local", "Import", "x" * 61, "a\nb", "\u202egnp"])
def test_what_cannot_be_a_name_is_refused_in_one_line(db, name):
    with store.write(db), pytest.raises(AnnotatorError) as error:
        people.add(db, name, "annotator")
    assert len(str(error.value).splitlines()) == 1


def test_a_name_is_given_once_and_the_tools_own_have_no_account(db):
    with store.write(db):
        people.add(db, "ann", "annotator")
        with pytest.raises(AnnotatorError, match="already"):
            people.add(db, " ann ", "reviewer")
        with pytest.raises(AnnotatorError, match="no role 'boss'"):
            people.add(db, "bob", "boss")
        with pytest.raises(NotFound):
            people.invite(db, 10**9)


def test_on_this_machine_nobody_logs_in(instance, app, owner):
    ann = come_in(app, owner, "ann")
    here = create_app(instance).test_client()
    assert here.get("/people").status_code == 200
    with ann.session_transaction() as session:
        number = session["_user_id"]
    with here.session_transaction() as session:
        session["_user_id"] = number  # a session from when it was served to others
    assert here.get("/settings").status_code == 200


def test_the_command_line_invites_lists_and_closes(instance):
    def run(*arguments: str):
        return CliRunner().invoke(main, ["user", *arguments, "--instance", str(instance)])

    assert "/invitation/" in run("add", "ann", "--role", "reviewer").output
    assert re.search(r"ann\s+reviewer\s+invited", run("list").output)
    assert run("role", "ann", "administrator").exit_code == 0
    assert "/invitation/" in run("invite", "ann").output
    assert run("close", "ann").exit_code == 0
    assert re.search(r"ann\s+administrator\s+gone", run("list").output)
    refused = run("role", "bob", "reviewer")
    assert (refused.exit_code, refused.output.splitlines()[-1][:32]) == (1, "Error: there is no person 'bob' ")
