"""A raw book of events: validated as a whole, only the events that something is done about taken out."""

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import Cover, EventPage, Snapshot
from angzarr.router.events import Events, Wanted, add_page
from angzarr.router.raw.history import next_sequence_at
from angzarr.router.raw.pages import Unusual, sequence_at, within
from angzarr.router.raw.scan import sized
from angzarr.router.raw.shapes import Forms


class EventForms(Forms[str]):
    """The forms of pages met in books; each with its type URL, if that is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(lambda type_url: type_url if wanted(type_url) else None)
        self.wanted = wanted


def read_events(data: bytes, start: int, end: int, depth: int, forms: EventForms) -> Events | None:
    """What the EventBook at these bounds holds; None when it is malformed, or encoded in an unusual order.

    Args:
        data: bytes that the book is part of.
        start: where it begins.
        end: where it ends.
        depth: how deep the book's fields may be nested.
        forms: the forms of pages seen so far.
    """
    events = Events()
    try:
        i = _read_head(data, start, end, depth, events)
        i = _read_pages(data, i, end, depth, forms, events)
        events.next_sequence = next_sequence_at(data, i, end)
    except Exception:  # whatever it is, the codec says it better
        return None
    return events


def read_first(data: bytes, forms: EventForms) -> tuple[Events, int] | None:
    """What the EventBook holds that is the first field of a request, and where that ends; None as ``read_events``."""
    span = sized(data, 1) if len(data) > 5 and data[0] == 0x0A else None
    if span is None or span[1] > len(data):
        return None
    events = read_events(data, *span, MAX_DEPTH - 2, forms)
    return None if events is None else (events, span[1])


def _read_head(data: bytes, i: int, end: int, depth: int, events: Events) -> int:
    if i < end and data[i] == 0x0A:
        start, i = within(data, i + 1, end)
        events.cover = codec.parser_for(Cover)(data, start, i, depth)
    if i < end and data[i] == 0x12:
        start, i = within(data, i + 1, end)
        codec.parser_for(Snapshot)(data, start, i, depth)
    return i


def _read_pages(data: bytes, i: int, end: int, depth: int, forms: EventForms, events: Events) -> int:
    """Read the pages from ``i`` on, as ``fold_pages`` does, one a pass of the loop; where they end."""
    known = forms.by_size
    found = events.found
    from_bytes = int.from_bytes
    usual = 0
    while i < end and data[i] == 0x1A:
        n = data[i + 1]
        if n < 128:
            i += 2
            stop = i + n
        else:
            i, stop = within(data, i + 1, end)
            n = stop - i
        if stop > end:
            raise Unusual
        for form in known.get(n, ()):
            if from_bytes(data[i : i + form[0]]) & form[1] == form[2]:
                break
        else:
            learnt = forms.learn(data, i, stop)
            if learnt is None:
                add_page(events, codec.parser_for(EventPage)(data, i, stop, depth), forms.wanted)
                i = stop
                continue
            form = learnt
        usual += 1
        if form[3] is not None:
            found.append((form[3], data[i + form[0] : stop], sequence_at(data, i)))
        i = stop
    events.pages += usual
    events.inline += usual
    return i
