"""Plan, responses, segments and demand on the page: as the stages write them, in plain words."""

import itertools
import json
import re

import numpy as np
import pytest

from nightmarket.evaluation.calibration import reliability
from nightmarket.reporting import demand, pictures, plan, responses, segments, words
from nightmarket.reporting.night import Night
from nightmarket.reporting.page import render
from nightmarket.reporting.pictures import Bar
from nightmarket.response.drivers import TITLES
from tests.made_up.campaigns import TYPES, write_campaigns

BAD = "<img src=x onerror=alert(1)> {{ 7*7 }}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the stages left, by stage, with BAD where a retailer's own text stands."""
    folder = tmp_path_factory.mktemp("run")
    write_campaigns(folder, np.random.default_rng(3), "2018-01-01", BAD)

    def read(path):
        return json.loads((folder / "artifacts" / path).read_text(encoding="utf-8"))

    rng = np.random.default_rng(4)
    chance = rng.beta(1, 5, 500)
    bins = reliability(chance, rng.random(500) < chance, np.arange(500, dtype=np.int32), 10)
    largest = [
        {"kind": kind, "past": [30.0, 50.0, 40.0], "units": [41.6] * 4, "low80": [20.0] * 4, "high80": [90.4] * 4}
        for kind in TYPES
    ]
    prices = [{"kind": TYPES[0], "products": 20, "price": -1.4, "price_low": -1.8, "price_high": -1.0}]
    return {
        "plan": read("plan/summary.json"),
        "responses": {
            "metrics": read("respond/metrics.json"), "drivers": read("respond/drivers.json"), "calibration": bins,
        },
        "segments": read("segment/segments.json"),
        "demand": {"metrics": read("demand/metrics.json"), "largest": largest, "prices": prices},
        "readout": read("readout/readout.json"),
    }  # fmt: skip


def night(**parts):
    return Night(as_of="2018-01-01", **parts)


def test_the_plan_says_reach_spend_and_how_far_from_the_best_it_is(made):
    view = plan.view(night(plan=made["plan"]))
    assert view is not None
    assert view.verdict.endswith("would send 640 contacts to 411 customers, from 1 to 7 January 2018.")
    assert [figure.value for figure in view.figures] == ["411", "209", "77", "79.50"]
    assert 'width="83.72%"' in view.spend, "209.30 of 250"
    certificate, holdout = view.sentences
    assert "can promise more than 79.51 USD; this one promises 79.50 USD, 0.01% less" in certificate
    kept = made["plan"]["num_holdout"]
    assert holdout.startswith(
        f"{kept} of the {411 + kept} customers who would be contacted were drawn at random, with a chance of 10% each,"
    )
    assert plan.line(night(plan=made["plan"])) == "411 customers for 209 of 250 USD, 77 responses expected."


def test_hours_stand_in_the_order_of_the_day(made):
    view = plan.view(night(plan=made["plan"]))
    assert view is not None
    assert re.findall(r'class="name"[^>]*>([^<]+)<', view.hours) == ["9–12", "12–15", "18–21"]
    assert re.findall(r'class="name"[^>]*>([^<]+)<', view.days)[:2] == ["Mon 1", "Tue 2"]


def test_segments_of_the_plan_have_names_and_small_offers_are_summed(made):
    view = plan.view(night(plan=made["plan"], segments=made["segments"]))
    assert view is not None
    groups = dict(view.groups)
    assert [row.name for row in groups["By segment"]][:1] == ["1 · high spend, broad choice"]
    assert groups["By segment"][-1].name == "other segments together"
    offers = groups["By offer"]
    assert len(offers) == plan.NUM_OFFERS + 1
    assert offers[-1].name == "4 other offers"
    assert sum(float(row.responses) for row in offers) == pytest.approx(77.4, abs=0.5)
    assert sum(int(row.contacts) for row in offers) == sum(row["num"] for row in made["plan"]["by_offer"])


def test_an_empty_plan_says_why_and_nothing_else(made):
    content = made["plan"] | {
        "empty_because": "the budget is 0",
        "by_slot": [],
        "pacing": [],
        "spend": 0.0,
        "budget": 0,
    }
    html = render(night(plan=content))
    assert "Nothing would be sent: the budget is 0." in html
    assert "Customers reached" not in html
    assert "nothing would be sent: the budget is 0." in plan.line(night(plan=content))
    assert "No plan was made tonight." in render(night())


def test_what_the_figures_rest_on_is_never_hidden(made):
    assert "Past offers have no cost on file" in render(night(plan=made["plan"]))
    html = render(night(plan=made["plan"] | {"notes": [], "words": "Each offer is taken to waive 20% of the price."}))
    assert "Each offer is taken to waive 20% of the price." in html


def test_a_plan_for_responses_is_certified_in_responses(made):
    content = made["plan"] | {"certificate": {"value": 70.0, "bound": 70.0, "gap": 0.0, "unit": "responses"}}
    view = plan.view(night(plan=content))
    assert view is not None
    assert view.sentences[0].endswith("can promise more than 70.0 responses; this one promises exactly that.")


def test_responses_are_judged_campaign_by_campaign(made):
    view = responses.view(night(responses=made["responses"]))
    assert view is not None
    assert view.verdict.startswith("Judged on the last 4 finished campaigns: 1,300 customers reached,")
    assert "and 216 responses." in view.verdict
    assert [figure.title for figure in view.figures] == ["AUC", "Average precision", "ECE"]
    assert view.figures[0].value == ".820"
    assert [row.name for row in view.rows] == [f"Campaign {name}" for name in (BAD, "A", "B", "C")]
    assert view.held.startswith("It expected 17.2% to respond; 15.1% did.")
    assert view.chart is not None
    assert view.chart.count("<circle") == len(view.bins) == 10
    assert [row.name for row in view.offers] == ["nightmarket", "own purchases alone"]


def test_campaigns_called_by_numbers_stand_in_their_order(made):
    figures = made["responses"]["metrics"]["campaigns"]["A"]
    metrics = made["responses"]["metrics"] | {"campaigns": dict.fromkeys(("14", "9", "x"), figures)}
    view = responses.view(night(responses={"metrics": metrics}))
    assert view is not None
    assert [row.name for row in view.rows] == ["Campaign 9", "Campaign 14", "Campaign x"]


def test_every_family_of_drivers_has_words():
    assert set(TITLES) <= set(words.WORDING["drivers"])


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"reason": "no table `responses`: nothing to learn responses from"}, "no table `responses`"),
        ({"test": {"num_pairs": 40, "num_responses": 0}}, "nobody responded to the campaigns"),
    ],
)
def test_without_figures_about_responses_the_page_says_why(metrics, said):
    view = responses.view(night(responses={"metrics": metrics, "drivers": {"reason": "none"}, "calibration": []}))
    assert view is not None
    assert said in view.reason
    assert said in render(night(responses={"metrics": metrics, "drivers": None, "calibration": []}))


def test_portraits_tell_size_habit_answers_and_worth(made):
    view = segments.view(night(segments=made["segments"]))
    assert view is not None
    assert "This is a partition, not a discovery" in view.verdict
    assert "adjusted Rand index of .930" in view.stability, "of three groups"
    first, second, last = view.portraits
    assert (first.name, first.size) == ("high spend, broad choice", "38")
    assert [share for _, _, share in first.bars] == ["47.5%", "60%"]
    assert first.habits == "Usually 1.4 baskets a week of 45.98, the last one 2 days ago (medians)."
    assert second.habits.startswith("Usually a basket every 5.0 weeks")
    assert first.categories[0] == ("DOMESTIC WINE", "1.5 times")
    assert first.answers[0][2] == "20.0% [10.0%, 32.0%]"
    assert (last.answers, last.parts) == ((), None)
    assert [row.name for row in view.worth] == ["1 · high spend, broad choice", "2 · rare visits, deep discounts"]


def test_without_segments_the_page_says_why():
    content = {"segments": [], "reason": "3 customers bought; groups need at least 80"}
    assert "There are no segments: 3 customers bought" in render(night(segments=content))


def test_demand_is_forecast_with_its_coverage(made):
    view = demand.view(night(demand=made["demand"]))
    assert view is not None
    assert "off by 33.0% of all units; last week carried forward by 42.0%" in view.verdict
    assert "the 80% interval held 80.5% [79.5%, 81.5%] of the time" in view.coverage
    assert [forecast.name for forecast in view.forecasts] == ["WHOLE MILK", "RYE BREAD", "SOAP", "抽纸"]
    assert (view.forecasts[0].said, view.forecasts[0].reach) == ("42", "[20, 90]")
    assert [row.name for row in view.rows] == ["All products", "Placebo: next week’s price", "WHOLE MILK"]
    assert view.rows[0].figure == "−12.5%", "1.1 to the power of −1.4"


def test_what_runs_out_stands_on_the_page_with_how_often_such_quantities_were_enough(made):
    told = {"reason": None, "lead_weeks": 2, "service": 0.95, "horizon": 2, "stocked": 7, "short": 1, "kinds": 9}
    told["coverage"] = {"value": 0.96, "low": 0.93, "high": 0.98}
    row = {"kind": "A > MILK", "stock": 30.0, "out_week1": 0.004, "out_week2": 0.61, "quantity": 44.0, "missing": 14.0}
    metrics = made["demand"]["metrics"] | {"supply": told, "last_complete_week": "2017-12-18"}
    content = made["demand"] | {"metrics": metrics, "supply": [row | {"missing_cost": float("nan")}]}
    view = demand.view(night(demand=content))
    assert view is not None
    assert view.supply.startswith("1 product type of 7 has less in stock than lasts 2 weeks with a chance of 95.0%.")
    assert "enough for 96.0% [93.0%, 98.0%] of 9 product types" in view.supply
    assert view.ends == ("31 Dec", "7 Jan")
    stock = view.stocks[0]
    assert (stock.name, stock.units, stock.chances) == ("MILK", "30", ("under 1%", "61%"))
    assert (stock.quantity, stock.missing, stock.cost) == ("44", "14", "–")
    assert "Out by 31 Dec" in render(night(demand=content))


def test_types_that_end_alike_keep_the_level_above(made):
    largest = [made["demand"]["largest"][0] | {"kind": kind} for kind in ("A > SOUP > OTHER", "A > MEAT > OTHER")]
    view = demand.view(night(demand=made["demand"] | {"largest": largest}))
    assert view is not None
    assert [forecast.name for forecast in view.forecasts] == ["SOUP · OTHER", "MEAT · OTHER"]


def test_prices_that_never_changed_have_no_row(made):
    response = {"reason": None, "pooled": {"discount": {"value": 2.0, "low": 1.0, "high": 3.0}}, "words": {"en": "So."}}
    view = demand.view(night(demand={"metrics": {"response": response}, "prices": []}))
    assert view is not None
    assert (view.rows, view.price) == ((), "So.")


def test_a_forecast_that_could_not_be_made_says_why():
    metrics = {"forecast": {"reason": "3 complete weeks"}, "response": {"reason": "fewer than 10 products"}}
    html = render(night(demand={"metrics": metrics}))
    assert "There is no forecast: 3 complete weeks." in html
    assert "Nothing can be said about price: fewer than 10 products." in html


def test_a_column_is_as_high_as_its_figure_and_the_dash_lies_where_it_is_usual():
    drawn = pictures.columns([Bar("a", 10.0, "10", 5.0), Bar("b", 5.0, "5")], "x")
    tall, half = (float(n) for n in re.findall(r'class="fill"[^>]* height="([\d.]+)%"', drawn))
    assert tall == pytest.approx(2 * half, abs=0.01)
    dash = float(re.search(r'class="usual"[^>]* y1="([\d.]+)%"', drawn)[1])
    tops = [float(n) for n in re.findall(r'class="fill" x="[\d.]+%" y="([\d.]+)%"', drawn)]
    assert dash == tops[1]


def test_many_columns_are_named_now_and_then_and_none_stands_outside():
    drawn = pictures.columns([Bar(f"d{i}", float(i), str(i)) for i in range(31)], "x")
    assert 1 < drawn.count('class="name"') <= pictures.MAX_NAMES
    assert pictures.columns([], "x").count("<rect") == 0
    places = [float(n) for n in re.findall(r' (?:x|y|width|height)="([\d.-]+)%"', drawn)]
    assert all(0 <= place <= 100 for place in places)


def test_the_band_of_a_forecast_holds_its_line():
    drawn = pictures.fan([10.0, 20.0], [20.0, 20.0], [10.0, 10.0], [40.0, 40.0], "x")
    band, _, ahead = (
        [tuple(float(n) for n in pair.split(",")) for pair in line.split()]
        for line in re.findall(r'points="([^"]+)"', drawn)
    )
    assert band[0] == ahead[0], "both begin at the last figure"
    up, down = band[1:3], band[3:]
    for (x, y), (_, above), (_, below) in zip(ahead[1:], up, reversed(down), strict=True):
        assert above < y < below, f"at {x}; SVG counts from the top"


def test_the_whole_page_escapes_what_a_retailer_brings_and_links_to_every_section(made):
    html = render(night(**made))
    assert "<img" not in html
    assert "49" not in re.findall(r"&gt; (.{4})", html)
    assert "{{ 7*7 }}" in html
    for anchor in re.findall(r'href="#(\w+)"', html):
        assert f'id="{anchor}"' in html
    assert html.count("<section") == html.split("</nav>")[0].split("<nav")[1].count("<a ")
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert html.count("<table") == html.count("<caption")
    drawn = re.findall(r"<svg[^>]*>", html)
    assert all('aria-hidden="true"' in tag or 'aria-label="' in tag for tag in drawn)
