"""Pseudonyms: a keyed hash in place of every buyer, and the key that never leaves this machine's settings folder."""

import base64
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from contextlib import suppress
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from helpers.settings import Settings, checked_name

LENGTH = 12  # of a pseudonym: what DuckDB compares and sorts twice as fast as a longer one
EMAIL_SHAPE = r"^[^\s@]+@[^\s@]+\.[^\s@]+$"
PLACEHOLDERS = (
    r"^(no[-_.]?reply|do[-_.]?not[-_.]?reply|none|na|n/a|unknown|guest|test|anonymous|customer|null|noemail|no[-_.]?email|dummy|xxx*)@",
    r"@(marketplace\.amazon\.|members\.ebay\.|.*\.invalid$|localhost|noemail|scs\.tiktokw?\.|.*tiktok\.com$)",
    r"\*",
)


def client_key(client: str) -> bytes:
    """The client's secret key, made on first use in a file only its owner may read, in $WORKBOOK_KEYS or the user's settings folder."""
    usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "retention-workbook" / "keys"
    path = Path(os.environ.get("WORKBOOK_KEYS") or usual) / f"{checked_name(client)}.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    key = bytes.fromhex(path.read_text().strip())
    if len(key) < 32:
        raise ValueError(f"The key of {client} in {path} is too short; it must be 64 hexadecimal digits.")
    return key


def normalised(email: str, gmail_aliases: bool = False) -> str:
    """An e-mail address as one buyer types it in different ways: NFKC, small letters, no spaces around.

    With gmail_aliases, dots and +tags of gmail addresses are left out as well.

    >>> normalised(" Anna.B@Example.COM "), normalised("an.na+shop@gmail.com", gmail_aliases=True)
    ('anna.b@example.com', 'anna@gmail.com')
    """
    text = unicodedata.normalize("NFKC", email).strip().casefold()
    name, _at, domain = text.rpartition("@")
    aliased = gmail_aliases and domain in ("gmail.com", "googlemail.com")
    return f"{name.split('+')[0].replace('.', '')}@gmail.com" if aliased else text


def pseudonym(key: bytes, identity: str) -> str:
    """The keyed hash that stands for an identity in every table: the first 60 bits of HMAC-SHA256 in base 32.

    >>> pseudonym(bytes(32), "anna@example.com")
    '4q73z7f5ibxa'
    """
    digest = hmac.digest(key, identity.encode(), hashlib.sha256)
    return base64.b32encode(digest)[:LENGTH].decode().lower()


def is_placeholder(email: str) -> bool:
    """Whether an address stands for nobody in particular: noreply, marketplace aliases, masked ones.

    >>> is_placeholder("no-reply@shop.de"), is_placeholder("anna@web.de")
    (True, False)
    """
    return any(re.search(pattern, email) for pattern in PLACEHOLDERS)


def buyer(rows: ir.Table) -> ir.StringValue:
    """Who bought, as the source says: e:<e-mail>, a:<source>:<account, or what it gives for one>, or null."""
    email, account, own = (rows[c] if c in rows.columns else ibis.null("string") for c in ("email", "account", "customer_id"))
    mail, other = email.strip().lower(), ibis.coalesce(account, own).strip().nullif("")
    named = ibis.literal("a:").concat(rows.source_name, ":", other)
    return mail.re_search(EMAIL_SHAPE).fill_null(False).ifelse(ibis.literal("e:").concat(mail), named)


def buyers_table(con, found: list[ir.Column], settings: Settings) -> ir.Table:
    """buyer → customer_id and identity_scope, each distinct buyer hashed once; a placeholder has no id and scope none.

    An account that is the pseudonym of another buyer is that buyer: a list made by the workbook has come back.
    """
    key, gmail = client_key(settings.client), settings.privacy.gmail_aliases

    @ibis.udf.scalar.python(signature=((str,), str))
    def hashed(who):
        """The pseudonym of an e-mail ("e:…") or of another id; empty for a placeholder."""
        if who[:2] != "e:":
            return pseudonym(key, who)
        mail = normalised(who[2:], gmail)
        return "" if is_placeholder(mail) else pseudonym(key, mail)

    every = con.create_table("distinct_buyers", ibis.union(*(t.filter(t.buyer.notnull()).select("buyer") for t in found)).distinct())
    known = con.create_table("buyers", every.mutate(customer_id=hashed(every.buyer).nullif("")))
    given = known.select("buyer", own=known.buyer.re_extract("^a:[^:]*:([a-z2-7]+)$", 1))
    returned = given.filter(_.own.length() == LENGTH).semi_join(known, [("own", "customer_id")])
    joined = known.left_join(returned, "buyer").select(known.buyer, known.customer_id, returned.own)
    scope = ibis.cases((_.customer_id.isnull(), "none"), (_.own.isnull() & _.buyer.startswith("a:"), "channel_account"), else_="email")
    return joined.mutate(customer_id=ibis.coalesce(_.own, _.customer_id), identity_scope=scope).drop("own")


def impossible_addresses(con, orders: ir.Table, limit: int) -> ir.Table:
    """Buyers with an e-mail address that placed `limit` orders or more on one day: a shared placeholder, not a person."""
    mailed = orders.filter(orders.buyer.startswith("e:"))
    days = mailed.group_by("buyer", day=mailed.ordered_at.date()).aggregate(n=_.count())
    return con.create_table("impossible", days.filter(_.n >= limit).select("buyer").distinct())
