"""The reward model under its old address: `shared/judging/families/reward_model.py` owns it."""

from __future__ import annotations

from shared.judging.families.reward_model import RewardModel

__all__ = ["RewardModel"]
