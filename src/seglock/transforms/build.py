"""From a method, or a list of steps, and a key to a transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seglock.errors import TransformError
from seglock.normalisation import IMAGENET, Normalisation
from seglock.steps import FeatureStep, Step, check_sequence, split_steps
from seglock.transforms.checks import (
    check_ffx_divisor,
    check_ffx_password,
    check_normalisation,
    check_step,
)
from seglock.transforms.features import plan_features
from seglock.transforms.plan import Plan, identity_plan
from seglock.transforms.sequence import plan_sequence
from seglock.transforms.transform import Transform

if TYPE_CHECKING:
    from seglock.keys import SecretKey
    from seglock.methods import FfxPassword


def build_transform(
    method: str,
    block_size: int,
    key: SecretKey,
    fraction: float | None = None,
    ffx_password: FfxPassword | None = None,
    ffx_divisor: int | None = None,
    normalisation: tuple[Sequence[float], Sequence[float]] = IMAGENET,
) -> Transform:
    """One step of the paper (section 2.4) under a key.

    Args:
        method: ``shf`` (shuffle), ``np`` (255 - x) or ``ffx`` (format-preserving encryption).
        block_size: side M of a block in pixels; it must divide both sides of the images.
        key: decides which positions, and how; the same key gives the same plan everywhere.
        fraction: share of a block's 3 * M * M positions to touch, 0..1, rounded down to whole
            positions; default the paper's: all for SHF, half for NP and FFX.
        ffx_password: ``from_key`` (default) or ``fixed``, a public one as in the paper.
        ffx_divisor: what FFX values are divided by for the network; default the table's maximum.
        normalisation: what the network's inputs are normalised by, mean and standard deviation
            by channel; default ImageNet's.

    Raises:
        TransformError: an unknown method, or a block size, fraction or normalisation out of range.

    Examples:
        >>> from seglock.keys import demonstration_key
        >>> build_transform("np", block_size=4, key=demonstration_key(), fraction=0.25)
        Transform([np-4-f25])
    """
    step = check_step(method, block_size, fraction)
    return compose([step], key, ffx_password, ffx_divisor, normalisation)


def compose(
    steps: Sequence[str | Step | FeatureStep],
    key: SecretKey | None,
    ffx_password: FfxPassword | None = None,
    ffx_divisor: int | None = None,
    normalisation: tuple[Sequence[float], Sequence[float]] = IMAGENET,
    channels: Mapping[str, int] | None = None,
) -> Transform:
    """Several steps as one transform, applied from left to right in a single pass.

    Args:
        steps: names ``METHOD-BLOCK[-fPERCENT]`` or Steps, all with one block side: any SHF and
            NP, then at most one FFX, then SHF only; names ``chp-LAYER`` or FeatureSteps among
            them act inside the network. No steps: `identity`.
        key: the secret key; None only where there are no steps.
        ffx_password: as for `build_transform`.
        ffx_divisor: as for `build_transform`.
        normalisation: as for `build_transform`.
        channels: of the layers that feature steps may name (`seglock.models.feature_maps`).

    Raises:
        ConfigError: a step's name that cannot be read, or a layer that is not among ``channels``.
        TransformError: an order that the formula does not allow (the message names one that it
            does), steps without a key, or a normalisation that is none.

    Examples:
        >>> from seglock.keys import demonstration_key
        >>> compose(["np-4", "shf-4"], key=demonstration_key())
        Transform([np-4, shf-4])
    """
    password = check_ffx_password(ffx_password)
    check_ffx_divisor(ffx_divisor)
    if isinstance(steps, str):
        raise TransformError("steps must be a list of steps", got=repr(steps), fix=f"[{steps!r}]")
    images, features = split_steps(steps)
    if not images and not features:
        return identity(normalisation)
    by = check_normalisation(normalisation)  # before there is a plan for a traceback to show
    check_sequence([*images, *features])
    if key is None:
        raise TransformError(
            "a transform with steps needs a key",
            got="key=None",
            fix="load one with seglock.keys.load_key, or make one with SecretKey.generate()",
        )
    plan = plan_sequence(images, key, password, features)
    inside = plan_features(features, images, key, password, channels)
    return Transform(tuple(images), for_network(plan, ffx_divisor, by), password, inside)


def under(key: SecretKey, right: Transform) -> Transform:
    """The same steps under another key."""
    steps: list[str | Step | FeatureStep] = [*right.steps]
    steps += [plan.step for plan in right.features]
    channels = {plan.step.layer: len(plan.order) for plan in right.features}
    seen = right._plan.divisor, right._plan.normalisation
    return compose(steps, key, right.ffx_password, *seen, channels)


def for_network(plan: Plan, ffx_divisor: int | None, normalisation: Normalisation) -> Plan:
    """``plan`` with what becomes of its values for the network: they are divided by
    ``ffx_divisor``, but without FFX, where they are 0..255 anyway, and then normalised."""
    divisor = None if plan.dtype_name == "uint8" else ffx_divisor
    if (divisor, normalisation) == (plan.divisor, plan.normalisation):
        return plan
    return replace(plan, divisor=divisor, normalisation=normalisation)


def identity(normalisation: tuple[Sequence[float], Sequence[float]] = IMAGENET) -> Transform:
    """The transform of the unlocked input: it encrypts nothing, and normalises all the same.

    >>> identity()
    Transform([])
    """
    return Transform((), for_network(identity_plan(1), None, check_normalisation(normalisation)))
