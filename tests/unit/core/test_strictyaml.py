import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from responder.core.strictyaml import Document, FileError, Model


class Wheel(Model):
    size: int = Field(ge=1, strict=True)
    tyre: str = "plain"


class Cart(Model):
    wheels: tuple[Wheel, ...]
    name: str = ""


def problems(text: str) -> list[str]:
    with pytest.raises(FileError) as caught:
        Document(text, "cart.yaml").read(Cart)
    return caught.value.problems


def test_a_good_file_is_read() -> None:
    cart = Document("wheels: [{size: 3}, {size: 4, tyre: wide}]\n", "cart.yaml").read(Cart)
    assert cart == Cart(wheels=(Wheel(size=3), Wheel(size=4, tyre="wide")))


def test_every_fault_is_told_with_its_place() -> None:
    text = "wheels:\n  - size: 0\n  - tyer: wide\n    size: big\nnmae: x\n"
    assert problems(text) == [
        "cart.yaml:2:11: wheels.0.size: expected greater than or equal to 1",
        "cart.yaml:4:11: wheels.1.size: expected a valid integer",
        "cart.yaml:3:5: wheels.1.tyer: unknown key, did you mean tyre?",
        "cart.yaml:5:1: nmae: unknown key, did you mean name?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cart.yaml:1:1: wheels: missing"),
        ("wheels: {}\n", "cart.yaml:1:9: wheels: expected a list"),
        ("wheels: [3]\n", "cart.yaml:1:10: wheels.0: expected a mapping"),
        ("wheels: [\n", "cart.yaml:2:1: expected the node content, but found '<stream end>'"),
        ("name: a\nname: b\n", "cart.yaml:2:1: name: written twice"),
        (
            "name: *-prod\n",
            "cart.yaml:1:7: found undefined alias '-prod': text that begins with * or & needs quotes, as in \"*-prod\"",
        ),
        (
            "{name: *}\n",
            "cart.yaml:1:9: expected alphabetic or numeric character, but found '}': text that begins with *",
        ),
        ("name: a: b\n", "cart.yaml:1:8: mapping values are not allowed here: text with a colon in it needs quotes"),
        ("name: @b\n", "cart.yaml:1:7: found character '@' that cannot start any token: put the text into quotes"),
        (
            "wheels:\n\t- size: 3\n",
            "cart.yaml:2:1: found character '\\t' that cannot start any token: indent with spaces",
        ),
        ("name: &a [*a]\n", "cart.yaml:1:7: refers to itself"),
        ("name: !!python/object:os.system x\n", "cart.yaml:1:7: unexpected tag python/object:os.system"),
        ("name: !!int many\n", "cart.yaml:1:7: write the number plainly, or quote it"),
        ("name: 0o17\n", "cart.yaml:1:1: wheels: missing"),
        ("? [a]\n: b\n", "cart.yaml:1:3: a key must be plain text"),
        ("<<: {name: b}\n", "cart.yaml:1:1: a key must be plain text"),
        ("[" * 5000, "cart.yaml:1:1: nested too deeply"),
        ("[" * 100 + "]" * 100, "cart.yaml:1:32: nested too deeply"),
        ('name: "\\UFFFFFFFF"\n', "cart.yaml:1:1: holds an escape or a number that is none"),
        ('name: "\\ud800"\n', "cart.yaml:1:7: holds half a character"),
        ("name: \x07\n", "cart.yaml:1:1: unacceptable character #x0007: special characters are not allowed"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text: str, problem: str) -> None:
    assert problems(text)[0].startswith(problem)


def test_dates_and_quoted_numbers_stay_text() -> None:
    assert Document('{a: 2026-13-45, b: "017", c: 1.50, d: yes, e: ~}', "f").data == {
        "a": "2026-13-45",
        "b": "017",
        "c": 1.5,
        "d": True,
        "e": None,
    }


def test_an_alias_costs_no_more_than_what_it_stands_for() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert len(problems("\n".join(lines))) == 21  # 20 unknown keys and the missing one


YAMLISH = st.lists(
    st.sampled_from(
        [*"[]{}:,-&*!|>'\"%@#?\n 0aé", "  ", ": ", "- ", "<<", "!!int", "!!binary", "wheels", "size", "\\x", "~"]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=400)
@given(st.one_of(YAMLISH, st.text(max_size=80)))
def test_no_text_raises_anything_but_a_file_error(text: str) -> None:
    faults: list[str] = []
    try:
        Document(text, "cart.yaml").read(Cart)
    except FileError as error:
        faults = error.problems
    assert all(problem.startswith("cart.yaml:") for problem in faults)


def test_a_list_with_one_faulty_item_is_not_called_too_short_as_well() -> None:
    class Item(Model):
        name: str

    class Listing(Model):
        items: tuple[Item, ...] = Field(min_length=1)

    with pytest.raises(FileError) as caught:
        Document("items: [{name: 7}]\n", "f").read(Listing)
    assert caught.value.problems == ["f:1:16: items.0.name: expected text, quote it"]
    with pytest.raises(FileError) as caught:
        Document("items: []\n", "f").read(Listing)
    assert caught.value.problems[0].startswith("f:1:8: items: ")


def test_a_quote_that_was_never_closed_is_told_where_it_begins() -> None:
    with pytest.raises(FileError) as refused:
        Document('a: 1\nb: "c\nd: 2\n', "x.yaml")
    assert refused.value.problems == [
        "x.yaml:4:1: found unexpected end of stream, while scanning a quoted scalar that began in line 2"
    ]
