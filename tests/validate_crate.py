"""Validate a crate without network: python -m tests.validate_crate CRATE [PROFILE]. Needs roc-validator, in an environment of its own.

The one document that the validator fetches, the JSON-LD context of RO-Crate 1.1 (public domain), is served from here, with the
terms that crates of this project have; a term that it lacks is an error.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

PROFILE = "provenance-run-crate-0.5"
ELSEWHERE = {
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}
"""Terms of the context that are not schema.org's."""
# fmt: off
OF_SCHEMA = (
    "Collection", "ComputerLanguage", "ControlAction", "CreateAction", "CreativeWork", "Dataset", "HowTo", "HowToStep", "Organization",
    "OrganizeAction", "Person", "PropertyValue", "SoftwareApplication", "SoftwareSourceCode", "about", "actionStatus", "additionalType",
    "author", "citation", "contentSize", "creditText", "datePublished", "description", "encodingFormat", "endTime", "exampleOfWork",
    "hasPart", "identifier", "instrument", "license", "mainEntity", "mentions", "name", "object", "position", "programmingLanguage",
    "result", "softwareVersion", "startTime", "step", "url", "value", "version", "workExample",
)
# fmt: on
CONTEXT = {"@context": {**{term: f"http://schema.org/{term}" for term in OF_SCHEMA}, **ELSEWHERE}}


class Served:
    """The context, as an answer to a request."""

    status_code, headers, links, text = 200, {"Content-Type": "application/ld+json"}, {}, json.dumps(CONTEXT)
    ok, content, url = True, text.encode(), "https://w3id.org/ro/crate/1.1/context"

    def json(self) -> object:
        return CONTEXT

    def raise_for_status(self) -> None:
        pass


def main(crate: Path, profile: str = PROFILE) -> int:
    # By name: the validator is in no environment of the project's own.
    models, services, http = (
        import_module(f"rocrate_validator.{name}") for name in ("models", "services", "utils.http")
    )
    http.HttpRequester.get = lambda self, url, **options: Served()
    strange = terms(crate) - CONTEXT["@context"].keys()
    if strange:
        print(f"terms without a definition: {', '.join(sorted(strange))}")
        return 1
    settings = services.ValidationSettings(
        rocrate_uri=str(crate), profile_identifier=profile, requirement_severity=models.Severity.REQUIRED, offline=True,
        skip_availability_check=True,
    )  # fmt: skip
    found = services.validate(settings)
    for issue in found.get_issues():
        print(f"{issue.severity.name}: {issue.check.identifier}: {issue.message} ({issue.violatingEntity})")
    print(f"{profile}: {'valid' if found.passed() else 'NOT valid'}")
    return int(not found.passed())


def terms(crate: Path) -> set[str]:
    """Types and properties of a crate that its context must define."""
    held = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    known = {key for part in held["@context"] if isinstance(part, dict) for key in part}
    found: set[str] = set()
    for entity in held["@graph"]:
        kinds = entity["@type"]
        found |= {*entity, *([kinds] if isinstance(kinds, str) else kinds)}
    return {term for term in found if not term.startswith("@")} - known


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
