"""What a plain settings file never holds, found before anything is built from its text.

Aliases multiply: six short lines can stand for a million values. Deep nesting and endless values choke
a reader.
"""

from __future__ import annotations


def overgrown(text: str, *, most_nested: int, longest: int) -> tuple[int, str] | None:
    """Line and cause of the first anchor or alias, too deep nesting or too long value; None in a plain text.

    Raises:
        YAMLError: the text is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent

    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        cause = ""
        if isinstance(event, NodeEvent) and event.anchor:
            cause = f"an anchor or alias: {event.anchor}"
        elif depth > most_nested:
            cause = f"more than {most_nested} levels of nesting"
        elif isinstance(event, ScalarEvent) and len(event.value) > longest:
            cause = f"a value of {len(event.value)} characters"
        if cause:
            return event.start_mark.line + 1, cause
    return None
