"""Whether the provider's text may be the sent one in another form.

Its document never shows the rows of the list: they may be truncated, cleaned up or decorated.
"""

import html
import re
import unicodedata
from typing import Final

_ELLIPSIS: Final = re.compile(r"…|\.{3}")


def same_words(shown: str, sent: str) -> bool:
    """Whether both are equal except for blanks."""
    return shown.split() == sent.split()


def same_letters(shown: str, sent: str) -> bool:
    """Whether both are equal except for case, accents, punctuation, blanks and HTML entities."""
    return _letters(shown) == _letters(sent)


def may_be(shown: str, sent: str) -> bool:
    """Whether *shown* may be *sent* with text removed or added at either end."""
    whole, start = _letters(sent), _letters(_ELLIPSIS.split(shown, maxsplit=1)[0])
    return start in whole or whole in _letters(shown)


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(filter(str.isalnum, decomposed))
