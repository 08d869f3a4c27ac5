"""The parts of a log that a person wants to see: its beginning, its end, and the lines that the diagnosis rests on."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from responder.core.attempts import AttemptHook
from responder.core.evidence import LogChunk
from responder.core.failure import Because, Diagnosis
from responder.core.hooks import ContainerRun, PodRun
from responder.web.faces import Faces
from responder.web.showing import Shown, log_address

_HEAD, _TAIL, _AROUND = 3, 10, 4
_LONGEST = 1500  # characters of one line; the whole log has them all
_MOST = 12  # excerpts of one incident


class Line(msgspec.Struct, frozen=True):
    """``number`` 0: a hole of ``count`` lines, which are in the whole log (``kept``) or were never kept."""

    number: int = 0
    text: str = ""
    marked: bool = False
    count: int = 0
    kept: bool = True


class Excerpt(msgspec.Struct, frozen=True):
    anchor: str
    operation: int  # from 1
    attempt: int
    hook: str
    pod: str
    container: ContainerRun
    href: str
    lines: tuple[Line, ...]
    marked: bool


async def excerpts(faces: Faces, shown: Shown) -> list[Excerpt]:
    """Of containers that ended badly or that the diagnosis speaks of; the one that states the cause comes first."""
    cause = shown.incident.diagnosis
    said = [*shown.diagnoses.values(), *([cause] if cause else ())]
    marks = [b for d in said for b in d.because if b.line]
    found = []
    for operation, attempt, hook, pod, container in _logged(shown):
        if not _speaks(container, pod, marks):
            continue
        made = await _excerpt(faces, operation, attempt, hook, pod, container, marks)
        if made is not None:
            found.append(made)
    found.sort(key=lambda e: not _states(e, cause))
    return found[:_MOST]


def _logged(shown: Shown) -> Iterator[tuple[int, int, AttemptHook, PodRun, ContainerRun]]:
    for index, view in enumerate(shown.views, 1):
        for attempt in view.attempts:
            for hook in attempt.hooks:
                for pod in hook.run.pods if hook.run is not None and not hook.stale else ():
                    for container in pod.containers:
                        if container.log is not None:
                            yield index, attempt.number, hook, pod, container


def _speaks(container: ContainerRun, pod: PodRun, marks: Sequence[Because]) -> bool:
    return container.exit_code not in (0, None) or any(b.source == f"{pod.name}/{container.name}" for b in marks)


async def _excerpt(
    faces: Faces,
    operation: int,
    attempt: int,
    hook: AttemptHook,
    pod: PodRun,
    container: ContainerRun,
    marks: Sequence[Because],
) -> Excerpt | None:
    assert container.log is not None  # noqa: S101 - `_logged` has seen it
    chunk = await faces.loader.log(container.log.key, container.log.lines)
    if chunk is None:
        return None
    own = [b for b in marks if b.source == f"{pod.name}/{container.name}"]
    lines = tuple(_lines(chunk, own, container.log.lines))
    return Excerpt(
        anchor=f"log-{operation}-{attempt}-{pod.name}-{container.name}-{container.restart}",
        operation=operation,
        attempt=attempt,
        hook=hook.result.name,
        pod=pod.name,
        container=container,
        href=log_address(container.log.key),
        lines=lines,
        marked=any(line.marked for line in lines),
    )


def _lines(chunk: LogChunk, marks: Sequence[Because], total: int) -> Iterator[Line]:
    texts = dict(zip(chunk.numbers, chunk.texts, strict=True))
    marked = {b.line for b in marks if _is_of(b, texts.get(b.line))}
    place = {number: index for index, number in enumerate(chunk.numbers)}
    wanted = {*range(_HEAD), *range(len(chunk.numbers) - _TAIL, len(chunk.numbers))}
    wanted |= {place[n] + step for n in marked for step in range(-_AROUND, _AROUND + 1)}
    before = 0
    for index in sorted(i for i in wanted if 0 <= i < len(chunk.numbers)):
        number = chunk.numbers[index]
        yield from _hole(chunk.numbers, before, number)
        yield Line(number, _cut(texts[number]), number in marked)
        before = number
    yield from _hole(chunk.numbers, before, total + 1)


def _is_of(because: Because, text: str | None) -> bool:
    """Several runs of one container share a source: the text tells which of them is meant."""
    if text is None:
        return False
    return because.text.strip()[:40] in text or text.strip()[:40] in because.text


def _hole(numbers: Sequence[int], before: int, after: int) -> Iterable[Line]:
    kept = sum(1 for number in numbers if before < number < after)
    if kept:
        yield Line(count=kept)
    if lost := after - before - 1 - kept:
        yield Line(count=lost, kept=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} characters more)"


def _states(excerpt: Excerpt, cause: Diagnosis | None) -> bool:
    """Does it hold the very lines on which the incident's cause rests?"""
    source = f"{excerpt.pod}/{excerpt.container.name}"
    return cause is not None and excerpt.marked and any(b.line and b.source == source for b in cause.because)
