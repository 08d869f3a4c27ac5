"""``responder check``: every error of a configuration, rules or signature file, with file, line and column."""

from pathlib import Path

from responder.config import ConfigError, beside, parse_settings
from responder.core.rulesfile import RulesError, parse_rules
from responder.core.signatures import SignatureError, parse_signatures
from responder.core.strictyaml import Document, FileError
from responder.receivers.template import parse_template

_TEMPLATES = (".j2", ".jinja", ".jinja2")


def problems_of(path: Path) -> list[str]:
    """Which kind of file it is, is told by its own keys, and of a template by its name."""
    if path.suffix in _TEMPLATES:
        return _template_problems(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = Document(text, str(path)).data
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return [f"{path}: is no UTF-8 text"]
    except FileError as error:
        return error.problems
    keys = set(data) if isinstance(data, dict) else set()
    try:
        if "signatures" in keys and not keys & {"listen", "argocd", "store"}:
            parse_signatures({str(path): text.encode()})
        elif "rules" in keys and "version" in keys:
            parse_rules(text, str(path), receivers=None)
        else:
            return _settings_problems(text, path)
    except SignatureError as error:
        return [str(error)]
    except RulesError as error:
        return list(error.problems)
    return []


def _template_problems(path: Path) -> list[str]:
    try:
        parse_template(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return [f"{path}: is no UTF-8 text"]
    except ConfigError as error:
        return error.problems
    return []


def _settings_problems(text: str, path: Path) -> list[str]:
    """The configuration, and the rules and signatures that it names."""
    try:
        settings = beside(parse_settings(text, str(path)), path.parent)
    except ConfigError as error:
        return error.problems
    found = []
    if settings.rules is not None:
        found += _rules_problems(settings.rules, frozenset(r.name for r in settings.receivers))
    for extra in settings.signatures:
        found += problems_of(extra)
    return found


def _rules_problems(path: Path, receivers: frozenset[str]) -> list[str]:
    try:
        parse_rules(path.read_text(encoding="utf-8"), str(path), receivers=receivers)
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}"]
    except RulesError as error:
        return list(error.problems)
    return []
