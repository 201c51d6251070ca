"""What the data room raises when a user's file or setting is wrong."""

from collections.abc import Iterable

SHOWN_CHARACTERS = 40
COMPARED = 100
LISTED = 12


def one_line(text: str) -> str:
    """Escape everything that is not printable, so that a message stays on its line.

    Parameters
    ----------
    text
        Any text, possibly with bytes of a hostile file or path in it.

    Returns
    -------
    str
        The same text with line ends, control and lone surrogate characters as escapes.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """Quote a value for a message, cut to a length that fits on a line.

    Parameters
    ----------
    value
        The offending value.

    Returns
    -------
    str
        Its `repr`, of at most `SHOWN_CHARACTERS` characters of it for a text.
    """
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"{value[:SHOWN_CHARACTERS]!r}..."
    text = repr(value)
    return text if len(text) <= 2 * SHOWN_CHARACTERS else f"{text[: 2 * SHOWN_CHARACTERS]}..."


class DataError(ValueError):
    """A data file, schema or setting that cannot be used: one line saying what, why, what to do.

    Parameters
    ----------
    message
        The line; anything unprintable in it is escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is not one of the choices, naming the nearest.

    Parameters
    ----------
    what
        Name of the setting.
    value
        What the user gave.
    choices
        The accepted names.

    Raises
    ------
    DataError
        If `value` is none of `choices`.
    """
    names = list(choices)
    if value in names:
        return
    from difflib import get_close_matches  # slow to import, only needed here

    # Matching is quadratic in the length, and both sides may come from a hostile file.
    short = [name for name in names[:COMPARED] if len(name) <= COMPARED]
    near = get_close_matches(str(value)[:COMPARED], short, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(short[:LISTED]) + (", ..." if len(names) > LISTED else "")
    raise DataError(f"unknown {what} {shown(value)}: {hint}choose from {listed}")
