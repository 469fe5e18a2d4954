"""Device hours, money and the image cache of a sweep that is planned."""

import pytest

from datavol.config.compose import compose
from datavol.planning import costs
from datavol.planning.costs import cache_lines, device_hours
from datavol.planning.plan import plan_runs
from datavol.planning.speed import Speed, find_speeds, wall_seconds

GPUS = ["data=imagenet", "plan.images=1281167", "trainer=ddp", "trainer.devices=4"]


def hours_of(*overrides: str, places: int = 1):
    plans = plan_runs(compose(overrides, multirun=True))
    speeds = find_speeds(plans)
    return device_hours(plans, speeds, wall_seconds(plans, speeds, places), places)


def test_gpu_hours_are_those_of_all_runs_on_all_their_devices():
    """90 budget epochs of 10,010 batches of 128 and 50,000 evaluated images, at 4,000 images/s on four GPUs."""
    seconds = 90 * (10010 * 128 + 50_000) / 4000
    found = hours_of(*GPUS, "plan.images_per_second=4000", "fraction=0.5,1", "plan.price_per_hour=2.5")
    assert found.hours == pytest.approx(2 * seconds * 4 / 3600)
    assert str(found) == "67 GPU hours"
    assert found.cost == "about 170 at 2.5 per GPU hour"


def test_runs_that_share_a_gpu_pay_for_it_together(monkeypatch):
    monkeypatch.setattr(costs, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(costs, "on_cpu", lambda trainer: False)
    plans = plan_runs(compose(["fraction=0.1,0.2", "trainer.devices=1"], multirun=True))
    speeds = [Speed(train=1440, val=359)] * 2
    alone, together = (device_hours(plans, speeds, 60.0, places) for places in (1, 2))
    assert together.hours == pytest.approx(alone.hours / 2)


def test_a_machine_s_cpu_is_paid_for_as_long_as_the_sweep_takes():
    options = ("trainer=cpu", "plan.images_per_second=100", "fraction=0.1,0.2")
    one, two = (hours_of(*options, places=places) for places in (1, 2))
    assert one.hours == pytest.approx(2 * two.hours)
    assert str(one).endswith(" machine hours")
    assert one.cost is None


def test_without_a_timing_nothing_is_known():
    assert hours_of("plan.timing=false") is None


def test_the_plan_prints_hours_and_money(command, photos):
    options = ["fraction=0.1,0.2", "trainer=cpu", "plan.images_per_second=100", "plan.price_per_hour=0.3"]
    answer = command("plan", "-m", *options)
    assert answer.returncode == 0, answer.stderr
    assert " machine hours\ncost: about " in answer.stdout
    assert " at 0.3 per machine hour\n" in answer.stdout
    assert "image cache" not in answer.stdout  # arrays have none


def test_the_cache_is_foretold_and_its_limit_said(photos, tmp_path):
    """Images of 32 x 24 pixels, shrunk to a short side of 12: 16 x 12 x 3 bytes each."""
    options = ["data=image_folder", f"data.root={photos}", f"data.cache_dir={tmp_path}", "data.cache=disk"]

    def line(*more: str) -> list[str]:
        return cache_lines(plan_runs(compose([*options, "recipe.batch_size=4", *more], multirun=True)))

    # 27 training and 12 validation images, 22 kB, or 13 of the former and 14 kB
    assert line("data.short_side=12") == [f"image cache: about 22 kB in {tmp_path}/images"]
    assert line("data.short_side=12", "fraction=0.5")[0].startswith("image cache: about 14 kB in ")
    assert line("data.short_side=12", "fraction=0.5,1") == line("data.short_side=12")
    limited = line("data.short_side=12", "data.cache_gb=1e-5")[0]
    assert limited.endswith("/images, which may take 10 kB: other images are decoded each time")
    assert line("data.cache=off") == line("data.short_side=null") == []
