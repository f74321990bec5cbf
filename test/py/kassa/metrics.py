"""The Prometheus text that each process tells at /metrics."""

import re

SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def number(text):
    return int(text) if text.lstrip("-").isdigit() else float(text)


def series(text):
    """(name, labels, value) of each."""
    for line in text.splitlines():
        found = SERIES.match(line)
        if found:
            yield found[1], dict(LABEL.findall(found[2] or "")), number(found[3])


def values(text, name, **labels):
    """Of all series with this name and these labels, whatever other labels they have. Errors:
    ValueError when the name has labels in it: no series would have such a name."""
    if not name.isidentifier():
        raise ValueError(f"{name} is no name of a metric")
    return [value for known, has, value in series(text)
            if known == name and labels.items() <= has.items()]


def total(text, name, **labels):
    return sum(values(text, name, **labels))


def by_label(text, name, label):
    """The label's value -> the number."""
    return {has[label]: value for known, has, value in series(text)
            if known == name and label in has}


def totals(text):
    """name -> sum over all labels."""
    sums = {}
    for name, _, value in series(text):
        sums[name] = sums.get(name, 0) + value
    return sums
