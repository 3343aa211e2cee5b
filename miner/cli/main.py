"""The command line `agon-miner`: everything a miner does, one command for each step.

Commands read settings, call one module each and print; they decide nothing. Heavy imports are inside the
commands, so that `--help` stays quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from miner.cli.run import run
from miner.cli.score import score
from miner.cli.status import status
from miner.cli.train import FREE_FLAGS, train
from shared.config import add_config
from shared.console import (
    WHO,
    ExitCode,
    JsonOption,
    YesOption,
    command,
    confirm,
    make_app,
    print_fields,
    print_json,
    say,
    with_settings,
)
from shared.errors import Rejection
from shared.settings import Settings

app = make_app("agon-miner", "Package, check and submit policies to an Agon competition.")
add_config(app)

SourceArgument = Annotated[Path, typer.Argument(help="Directory of the checkpoint.", show_default=False)]


@app.command()
@command
@with_settings(*WHO, "bundle")
async def init(
    settings: Settings,
    create_wallet: Annotated[
        bool,
        typer.Option(
            "--create-wallet",
            help="Create an unencrypted wallet with some coins; embedded and local networks only.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is there, what is missing, and the command lines that come next."""
    settings.require_network()
    from miner import readiness
    from shared.chain.connect import connect

    async with connect(settings) as chain:
        if create_wallet:
            await readiness.create_wallet(chain, settings)
        found = await readiness.assess(chain, settings)
    if as_json:
        print_json(found)
        return
    print_fields(found.model_dump(exclude={"next"}))
    typer.echo("\nnext:\n" + "\n".join(f"  {line}" for line in found.next))


@app.command()
@command
@with_settings("network", "netuid")
async def price(settings: Settings, as_json: JsonOption = False) -> None:
    """Show what registering one hotkey costs now."""
    settings.require_network()
    subnet = settings.require_netuid()
    from miner.register import require_subnet
    from shared.chain.connect import connect

    async with connect(settings) as chain:
        await require_subnet(chain, subnet)
        cost = await chain.registration_price_tao(subnet)
        head = await chain.head()
    if as_json:
        print_json({"netuid": subnet, "price_tao": str(cost), "block": head.number})
    else:
        print_fields({"netuid": subnet, "price_tao": cost, "block": head.number})


@app.command()
@command
@with_settings(*WHO)
async def register(
    settings: Settings,
    max_burn: Annotated[
        float | None, typer.Option("--max-burn", min=0, help="Refuse to pay more than this, in TAO.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Register the hotkey on the subnet, after showing the price."""
    settings.require_network()
    subnet = settings.require_netuid()
    from miner.register import quote, require_affordable
    from shared.chain.connect import connect
    from shared.chain.wallets import coldkey_of, hotkey_of, open_wallet

    keys = open_wallet(settings, need="public")
    limit = None if max_burn is None else Decimal(str(max_burn))
    async with connect(settings) as chain:
        offer = await quote(chain, subnet, hotkey=hotkey_of(keys), coldkey=coldkey_of(keys))
        uid, paid = offer.uid, Decimal(0)
        if uid is None:
            say(f"registering {offer.hotkey} on subnet {subnet} costs {offer.price_tao} TAO")
            require_affordable(offer, limit)
            confirm(f"pay {offer.price_tao} TAO from a balance of {offer.balance_tao}?", yes=yes)
            payer = open_wallet(settings, need="coldkey")
            # the price may rise between question and payment, the amount agreed to must not
            uid = await chain.register(payer, subnet, max_price_tao=limit or offer.price_tao)
            paid = offer.balance_tao - await chain.balance_tao(coldkey_of(keys))
    document = {"hotkey": offer.hotkey, "netuid": subnet, "uid": uid, "paid_tao": str(paid)}
    print_json(document) if as_json else print_fields(document)


@app.command()
@command
def package(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write.", show_default=False)],
    lineage: Annotated[
        Path | None,
        typer.Option("--lineage", help="JSON file that tells parent, recipe and config. [lineage.json]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the files that a checkpoint may have into a package, with its manifest."""
    from miner.submit.package import package as make_package
    from miner.submit.package import read_lineage

    made = make_package(source, out, lineage=read_lineage(source, lineage))
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "digest": made.manifest.digest,
                "bytes": made.manifest.total_bytes,
                "files": [file.path for file in made.manifest.files],
                "left_out": list(made.left_out),
            }
        )
        return
    for name in made.left_out:
        say(f"left out: {name}")
    files = {file.path: f"{file.size_bytes} bytes" for file in made.manifest.files}
    print_fields({**files, "digest": made.manifest.digest, "path": made.path})


@app.command()
@command
@with_settings("bundle")
def check(settings: Settings, source: SourceArgument, as_json: JsonOption = False) -> None:
    """Run the validators' own admission offline and list everything that is wrong. Exit code 3 if so."""
    from miner.submit.check import check as check_source
    from shared.checkpoints.bundle import load_bundle

    report = check_source(source, load_bundle(settings.require_bundle(), public=True))
    if not report.ok:
        _refuse(report.findings, as_json=as_json)
    digest = report.manifest.digest if report.manifest else None
    if as_json:
        print_json({"ok": True, "digest": digest, "findings": []})
    else:
        print_fields({"result": "a validator would admit this checkpoint", "digest": digest})


@app.command()
@command
@with_settings(*WHO, "state", "bundle", "api")
async def submit(
    settings: Settings,
    source: Annotated[Path | None, typer.Argument(help="Packaged checkpoint.", show_default=False)] = None,
    locator: Annotated[
        str | None, typer.Option("--locator", help="Where the files will be, such as file:NAME.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the submission under way.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Commit anew, giving up the place of an earlier commitment.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave instead of waiting for the close or the slot.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Commit a packaged checkpoint, publish it when a round gives it a slot, and read it back."""
    from miner.submit.request import SubmitRequest, run_submit

    request = SubmitRequest(
        source, locator, resume=resume, replace=replace, wait=not no_wait, dry_run=dry_run, api=settings.api
    )
    receipt = await run_submit(settings, request, talk=say)
    if receipt.findings:
        _refuse(receipt.findings, as_json=as_json)
    print_json(receipt.document) if as_json else print_fields(receipt.document)


app.command()(run)
app.command()(score)
app.command()(status)
app.command(context_settings=FREE_FLAGS)(train)


def _refuse(findings: Sequence[Rejection], *, as_json: bool) -> NoReturn:
    """Print every finding and end the command with exit code 3."""
    if as_json:
        print_json({"ok": False, "findings": [finding.to_dict() for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.code}: {finding.message}\n  help: {finding.help}")
        say(f"{len(findings)} findings: a validator would refuse this checkpoint")
    raise typer.Exit(ExitCode.FAULTS_FOUND)
