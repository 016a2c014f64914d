"""`zsms keys`."""

from __future__ import annotations

import click

from zsms.cli import places

_DIRECTORY = click.option(
    "--keys",
    "directory",
    metavar="DIR",
    type=places.FOLDER,
    default="keys",
    show_default=True,
    help="The directory of keys. Everything in its folder public may be copied to every host; a .key is a secret.",
)


@click.group(
    "keys",
    epilog="""\b
Examples:
  zsms keys new broker
  zsms keys list""",
)
def command() -> None:
    """Make and list the keys with which processes prove who they are.

    Every process has a key, NAME.key, and everybody has the list of public keys, public/NAME.pub. docs/SECURITY.md says
    how to spread them over several hosts, and how to lock one out again.
    """


@command.command(
    "new",
    epilog="""\b
Examples:
  zsms keys new broker                                 the role is that of the name
  zsms keys new producer-1 --role producer
  zsms keys new watch --role monitor --role operator --keys /etc/zsms/keys""",
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    help="What it is for: broker, stats, producer, sender, smsc, monitor or operator; repeatable.  [default: NAME]",
)
@_DIRECTORY
def new(name: str, roles: tuple[str, ...], directory: str) -> None:
    """Make the key NAME: DIR/NAME.key, and its public part DIR/public/NAME.pub."""
    from pathlib import Path

    from zsms.security import keys

    keys.make(Path(directory), name, roles or ((name,) if name in keys.ROLES else ()))
    click.echo(f"{directory}/{name}.key")
    click.echo(f"{directory}/public/{name}.pub")


@command.command(
    "list",
    epilog="""\b
Examples:
  zsms keys list
  zsms keys list --keys /etc/zsms/keys""",
)
@_DIRECTORY
def list_keys(directory: str) -> None:
    """A line a key: name, roles, the beginning of the public key, and whether the secret is here."""
    from pathlib import Path

    from zsms.security import keys

    found = keys.listing(Path(directory))
    width = max((len(key.name) for key, _ in found), default=0)
    roles = max((len(",".join(key.roles)) for key, _ in found), default=0)
    for key, secret in found:
        line = f"{key.name:<{width}}  {','.join(key.roles):<{roles}}  {key.public.decode()[:10]}  "
        click.echo(line + ("secret here" if secret else "public only"))
