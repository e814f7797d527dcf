"""static/keys.js: what a key press means, on every keyboard."""

from typing import Any

import pytest
from live import Live
from playwright.sync_api import BrowserContext, Page

CLASSES = [
    {"id": 1, "name": "one", "key": "1"},
    {"id": 10, "name": "ten", "key": "0"},
    {"id": 11, "name": "c", "key": "c"},
]
MEANING = """async ([event, place, classes]) => {
    const { commandFor } = await import("/static/keys.js");
    const command = commandFor(new KeyboardEvent("keydown", event), classes, place);
    return command && (command.class ? command.class.name : command.name);
}"""
TABLE: list[tuple[str, dict[str, Any], str | None]] = [
    ("a digit", {"key": "1", "code": "Digit1"}, "one"),
    ("a digit of the number pad", {"key": "1", "code": "Numpad1"}, "one"),
    ("a number pad that moves the cursor", {"key": "End", "code": "Numpad1"}, None),
    ("a digit that no class has", {"key": "7", "code": "Digit7"}, None),
    ("AZERTY: the digit is on shift", {"key": "&", "code": "Digit1"}, "one"),
    ("AZERTY: zero", {"key": "à", "code": "Digit0"}, "ten"),
    ("AZERTY with shift", {"key": "1", "code": "Digit1", "shiftKey": True}, "one"),
    ("an exclamation mark", {"key": "!", "code": "Digit1", "shiftKey": True}, None),
    ("Arabic digits", {"key": "١", "code": "Digit1"}, "one"),
    ("a letter", {"key": "c", "code": "KeyC"}, "c"),
    ("a letter with caps lock", {"key": "C", "code": "KeyC"}, "c"),
    ("Dvorak: the letter counts, not its place", {"key": "c", "code": "KeyI"}, "c"),
    ("Dvorak: another letter in its place", {"key": "j", "code": "KeyC"}, None),
    ("Cyrillic: the place counts", {"key": "с", "code": "KeyC"}, "c"),
    ("Cyrillic unsure", {"key": "г", "code": "KeyU"}, "unsure"),
    ("Dvorak punctuation is no letter", {"key": ";", "code": "KeyZ"}, None),
    ("Enter", {"key": "Enter", "code": "Enter"}, "accept"),
    ("a accepts", {"key": "a", "code": "KeyQ"}, "accept"),
    ("space", {"key": " ", "code": "Space"}, "skip"),
    ("flag", {"key": "f", "code": "KeyF"}, "flag"),
    ("backspace", {"key": "Backspace", "code": "Backspace"}, "undo"),
    ("left", {"key": "ArrowLeft", "code": "ArrowLeft"}, "older"),
    ("right", {"key": "ArrowRight", "code": "ArrowRight"}, "newer"),
    ("a question mark on a German board", {"key": "?", "code": "Minus", "shiftKey": True}, "help"),
    ("h", {"key": "h", "code": "KeyH"}, "help"),
    ("Ctrl+Z", {"key": "z", "code": "KeyZ", "ctrlKey": True}, "undo"),
    ("Cmd+Z", {"key": "z", "code": "KeyZ", "metaKey": True}, "undo"),
    ("AZERTY Ctrl+Z", {"key": "z", "code": "KeyW", "ctrlKey": True}, "undo"),
    ("Cyrillic Ctrl+Z", {"key": "я", "code": "KeyZ", "ctrlKey": True}, "undo"),
    ("redo is not undo", {"key": "Z", "code": "KeyZ", "ctrlKey": True, "shiftKey": True}, None),
    ("AltGr is not Ctrl", {"key": "z", "code": "KeyZ", "ctrlKey": True, "altKey": True}, None),
    ("the browser's own shortcut", {"key": "f", "code": "KeyF", "ctrlKey": True}, None),
    ("another tab of the browser", {"key": "1", "code": "Digit1", "metaKey": True}, None),
    ("Alt with a digit", {"key": "1", "code": "Digit1", "altKey": True}, None),
    ("z alone looks closer", {"key": "z", "code": "KeyZ"}, "toggle"),
    ("brightness", {"key": "b", "code": "KeyB"}, "brighten"),
    ("a plus with shift", {"key": "+", "code": "Equal", "shiftKey": True}, "closer"),
    ("a plus without", {"key": "=", "code": "Equal"}, "closer"),
    ("a held minus", {"key": "-", "code": "Minus", "repeat": True}, "farther"),
    ("a slash on a German board", {"key": "/", "code": "Digit7", "shiftKey": True}, "filter"),
    ("an arrow with shift", {"key": "ArrowUp", "code": "ArrowUp", "shiftKey": True}, "pan"),
    ("an arrow up alone scrolls", {"key": "ArrowUp", "code": "ArrowUp"}, None),
    ("a held class key", {"key": "1", "code": "Digit1", "repeat": True}, "ignore"),
    ("a held backspace", {"key": "Backspace", "code": "Backspace", "repeat": True}, "ignore"),
    ("a held key without a meaning", {"key": "x", "code": "KeyX", "repeat": True}, None),
    ("an input method at work", {"key": "c", "code": "KeyC", "isComposing": True}, None),
]


@pytest.fixture(scope="module")
def page(browser: Any, live: Live) -> Any:
    page = browser.new_page()
    page.goto(live.url + "files")
    yield page
    page.close()


def meaning(page: Page, event: dict[str, Any], place: str = "page") -> str | None:
    found: str | None = page.evaluate(MEANING, [event, place, CLASSES])
    return found


@pytest.mark.parametrize(("event", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_key_press_means(page: Page, event: dict[str, Any], expected: str | None) -> None:
    assert meaning(page, event) == expected


@pytest.mark.parametrize("key", ["1", "c", "Enter", " ", "Backspace", "?"])
def test_keys_are_inert_while_typing_in_a_field(page: Page, key: str) -> None:
    assert meaning(page, {"key": key}, place="field") is None


@pytest.mark.parametrize(("key", "expected"), [("Enter", None), (" ", None), ("1", "one"), ("Backspace", "undo")])
def test_a_focused_button_keeps_enter_and_space_only(page: Page, key: str, expected: str | None) -> None:
    assert meaning(page, {"key": key}, place="control") == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [("input", "field"), ("select", "field"), ("button", "control"), ("a", "control"), ("p", "page")],
)
def test_the_place_of_an_element(page: Page, markup: str, expected: str) -> None:
    script = "async tag => (await import('/static/keys.js')).placeOf(document.createElement(tag))"
    assert page.evaluate(script, markup) == expected


def test_a_command_key_is_never_a_class_key(labeler_keys: list[str]) -> None:
    assert not set(labeler_keys) & set("aufzbh")


@pytest.fixture
def labeler_keys(context: BrowserContext, live: Live) -> list[str]:
    page = context.new_page()
    page.goto(live.url)
    return page.locator(".class kbd").all_text_contents()
