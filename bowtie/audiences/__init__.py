"""Audiences: people as advertising platforms take them, by hashes of their e-mail and phone.

Or the companies that they are of, by name and domain.

Who is a member is asked of the views; here is how members become rows of a file: their identifiers
are opened with the store's keys, made uniform, and hashed. Who was forgotten, or has withdrawn
consent, is in no file.
"""

from bowtie.audiences.building import CONSENTS, REASONS, Audience, build_audience
from bowtie.audiences.companies import COMPANY_FIELDS, COMPANY_LISTS, Companies, company_row
from bowtie.audiences.contacts import Contact, contacts_of
from bowtie.audiences.platforms import (
    PLATFORMS,
    Platform,
    hashed,
    normal_email,
    normal_phone,
    written_csv,
    written_json,
)

__all__ = [
    "COMPANY_FIELDS",
    "COMPANY_LISTS",
    "CONSENTS",
    "PLATFORMS",
    "REASONS",
    "Audience",
    "Companies",
    "Contact",
    "Platform",
    "build_audience",
    "company_row",
    "contacts_of",
    "hashed",
    "normal_email",
    "normal_phone",
    "written_csv",
    "written_json",
]
