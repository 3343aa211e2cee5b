"""The owner's commands: `agon-validator competition ...` and `agon-validator subnet ...`.

Thin shells over `validator/owner`. Whatever costs TAO is shown before it is
paid and asked for, unless `--yes`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.console import (
    WHO,
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
from shared.errors import AgonError, TransientError
from shared.settings import Settings
from shared.types import JudgeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.checkpoints.bundle import Bundle
    from validator.owner.build import BundleInputs
    from validator.owner.gate_rates import GateRates
    from validator.owner.subnet import SubnetOptions, SubnetPlan
    from validator.owner.temperature import Reading

competition_app = make_app("competition", "Build, show and publish the rules of a competition.")
subnet_app = make_app("subnet", "Plan and set up a subnet of your own.")

RoundOption = Annotated[int, typer.Option(help="Length of the rounds to come, in blocks.", min=2)]
StakeOption = Annotated[float, typer.Option(help="TAO to stake on our hotkey, for a permit.", min=0)]


@competition_app.command()
@command
def build(
    out: Annotated[Path, typer.Option(help="Empty directory for the bundle.")],
    base: Annotated[str, typer.Option(help="pypi:, hf:// or tiny: source, or a directory.")],
    pools: Annotated[Path, typer.Option(help="Directory of held-out prompts, <slice>.jsonl.")],
    judge: Annotated[list[str], typer.Option(help="NAME=SOURCE of a held-out judge; may be repeated.")],
    reference: Annotated[Path, typer.Option(help="JSONL of reference prompts.")],
    prompts: Annotated[Path, typer.Option(help="JSONL of public training prompts.")],
    proxy: Annotated[str | None, typer.Option(help="Source of the proxy judge.")] = None,
    judge_pairs: Annotated[
        Path | None, typer.Option(help="JSONL of human pairs; judges get coefficients from them.")
    ] = None,
    not_validated_on_human_pairs: Annotated[
        bool,
        typer.Option("--not-validated-on-human-pairs", help="Build without human pairs; the rules say so."),
    ] = False,
    rules: Annotated[Path | None, typer.Option(help="TOML of rules; the demo's by default.")] = None,
    *,
    check_temperature: Annotated[
        bool, typer.Option(help="Warn when the base scores better at a lower temperature; takes minutes.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Measure everything the rules refer to by digest, and write a bundle that validators load."""
    import shared.competitions
    from shared.engines.model_sources import fetch_base
    from shared.protocol.loader import read_rules
    from validator.owner.build import BundleInputs, build_bundle
    from validator.owner.preflight import PROXY, bring_judge, bring_judges, slice_names

    _require_choice(judge_pairs, waived=not_validated_on_human_pairs)
    for path in (pools, reference, prompts, *([judge_pairs] if judge_pairs else [])):
        if not path.exists():
            raise AgonError("usage", f"there is no {path}")
    settings = Settings.load()
    table = read_rules(rules or Path(shared.competitions.__path__[0]) / "demo.toml")
    brought = BundleInputs(
        rules=table,
        base=fetch_base(base, settings.cache),
        sources=(base,) if ":" in base else (),
        pools={name: pools / f"{name}.jsonl" for name in slice_names(table)},
        judges=bring_judges(map(_parse_judge, judge), settings),
        proxy=bring_judge(PROXY, proxy, settings) if proxy else None,
        public_prompts=prompts,
        reference=reference,
        judge_pairs=judge_pairs,
        human_pairs_waived=not_validated_on_human_pairs,
    )
    rates: list[GateRates] = []
    bundle = build_bundle(brought, out, rates.extend)
    readings = _read_temperatures(bundle, brought) if check_temperature else ()
    _print_build(bundle, rates, readings, as_json=as_json)


def _require_choice(judge_pairs: Path | None, *, waived: bool) -> None:
    if (judge_pairs is not None) == waived:
        raise AgonError(
            "usage",
            "a build wants either --judge-pairs FILE or --not-validated-on-human-pairs",
            help="measure the judges on human pairs, or say that you did not: the rules show it to everybody",
        )


def _print_build(
    bundle: Bundle, rates: Sequence[GateRates], readings: Sequence[Reading], *, as_json: bool
) -> None:
    report = {
        "bundle": str(bundle.root),
        "competition": bundle.rules.digest,
        "base": bundle.rules.base.digest,
        "validated_on_human_pairs": bundle.rules.judging.validated_on_human_pairs,
    }
    if as_json:
        print_json({**report, "gates": rates, "temperatures": readings})
        return
    gated = {f"gates on the base, {part.slice}": part.rates for part in rates}
    print_fields(
        {**report, **gated, **{f"at temperature {found.temperature:g}": found.rise for found in readings}}
    )


def _read_temperatures(bundle: Bundle, brought: BundleInputs) -> Sequence[Reading]:
    """The base at lower temperatures; a better one is told, not refused."""
    from validator.owner.prompt_files import read_prompts
    from validator.owner.temperature import check_temperature

    say("sampling the base at lower temperatures; --no-check-temperature leaves that out")
    asked = read_prompts(brought.reference, [part.name for part in bundle.rules.slices])
    try:
        readings, finding = check_temperature(bundle, asked, brought.reference_prompts)
    except TransientError as error:
        say(f"warning: the bundle is whole, but the check of temperatures did not end: {error.message}")
        return ()
    if finding is not None:
        say(f"warning: {finding.code}: {finding.message}")
        say(f"help: {finding.help}")
    return readings


def _parse_judge(item: str) -> tuple[JudgeName, str]:
    name, _, source = item.partition("=")
    if not (name and source):
        raise AgonError(
            "usage", f"--judge takes NAME=SOURCE, a directory, hf:// or s3:// place, not {item!r}"
        )
    return JudgeName(name), source


@competition_app.command()
@command
@with_settings("bundle")
def show(settings: Settings, as_json: JsonOption = False) -> None:
    """Show the rules, their digest, and what the chosen numbers can prove."""
    from shared.protocol.loader import load_competition
    from shared.stats.power import provable

    rules = load_competition(settings.require_bundle() / "competition.json")
    proof = provable(rules)
    if as_json:
        print_json(
            {
                "competition": rules.digest,
                "rules": rules.model_dump(mode="json"),
                "provable": proof.model_dump(mode="json"),
            }
        )
        return
    print_fields(
        {
            "name": rules.name,
            "competition": rules.digest,
            "base": rules.base.digest,
            "validated_on_human_pairs": rules.judging.validated_on_human_pairs,
            **proof.model_dump(),
        }
    )


@competition_app.command()
@command
@with_settings(*WHO, "bundle", "state")
async def publish(
    settings: Settings,
    start_block: Annotated[int | None, typer.Option(help="First block of round 0; soon by default.")] = None,
    locator: Annotated[
        str | None, typer.Option("--locator", help="Where everybody reads the log, such as hf://org/repo.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a bundle's rules, judges and pools into the owner's governance log and commit its head."""
    from shared.chain.commitment import parse_locator
    from shared.chain.connect import connect
    from shared.chain.wallets import hotkey_of, open_wallet
    from shared.governance.publish import log_target
    from validator.owner.publish import publish_competition

    settings.require_network()
    keys = open_wallet(settings)
    async with connect(settings) as chain:
        published = await publish_competition(
            chain,
            keys,
            settings.require_netuid(),
            settings.require_bundle(),
            log_target(settings, hotkey_of(keys), parse_locator(locator) if locator else None),
            start_block=start_block,
        )
    report = {
        "competition": published.competition,
        "start_block": published.start_block,
        "log_head": published.head,
        "locator": str(published.locator),
        "entries_added": published.appended,
    }
    print_json(report) if as_json else print_fields(report)


@subnet_app.command()
@command
@with_settings(*WHO)
async def plan(
    settings: Settings,
    round_blocks: RoundOption = 1800,
    stake: StakeOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Show the steps that set up a subnet for Agon, and what they cost. Writes nothing."""
    settings.require_network()
    from shared.chain.connect import connect
    from shared.chain.wallets import open_wallet
    from validator.owner.subnet import plan_subnet

    keys = open_wallet(settings, need="public")
    async with connect(settings) as chain:
        steps = await plan_subnet(chain, keys, _wish(settings, round_blocks, stake))
    _print_plan(steps, as_json=as_json)


@subnet_app.command()
@command
@with_settings(*WHO)
async def init(
    settings: Settings,
    round_blocks: RoundOption = 1800,
    stake: StakeOption = 0.0,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create, start and configure the subnet: every step that is not done yet."""
    settings.require_network()
    from shared.chain.connect import connect
    from shared.chain.wallets import open_wallet
    from validator.owner.subnet import init_subnet, plan_subnet

    keys = open_wallet(settings, need="coldkey")
    wish = _wish(settings, round_blocks, stake)
    async with connect(settings) as chain:
        steps = await plan_subnet(chain, keys, wish)
        if not steps.done:
            say(f"this costs {steps.cost_tao} TAO and fees; the coldkey has {steps.balance_tao} TAO")
            confirm("set up the subnet?", yes=yes)
            steps = await init_subnet(chain, keys, wish)
    _print_plan(steps, as_json=as_json)


def _wish(settings: Settings, round_blocks: int, stake: float) -> SubnetOptions:
    from validator.owner.subnet import SubnetOptions

    if not math.isfinite(stake):
        raise AgonError("usage", f"--stake takes an amount of TAO, not {stake}")
    return SubnetOptions(settings.netuid, round_blocks, Decimal(str(stake)))


def _print_plan(steps: SubnetPlan, *, as_json: bool) -> None:
    rows = [
        {"step": step.name, "detail": step.detail, "done": step.done, "cost_tao": str(step.cost_tao)}
        for step in steps.steps
    ]
    if as_json:
        print_json({"netuid": steps.netuid, "cost_tao": str(steps.cost_tao), "steps": rows})
        return
    print_fields({"netuid": steps.netuid if steps.netuid is not None else "not created yet"})
    for row in rows:
        typer.echo(
            f"{'done' if row['done'] else 'todo'}  {row['step']}: {row['detail']} ({row['cost_tao']} TAO)"
        )
