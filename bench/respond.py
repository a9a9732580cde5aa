"""Who responds: all candidates on earlier campaigns (the choice), the chosen one on the test campaigns.

    python -m bench.respond

Reads artifacts/validate, artifacts/prepare, and the text vectors of artifacts/embed and artifacts/finetune where they
are there (run `make nightly` first). Every campaign is predicted by a model fitted on campaigns that ended before it
began, calibrated on campaigns that ended before it began. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.machine import machine
from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.response import coupons, models
from nightmarket.response.evaluation import figures, mean_figure, ndcg
from nightmarket.response.features import campaign_rows
from nightmarket.response.market import Records
from nightmarket.response.responder import (
    CampaignRows,
    calibrate,
    ended_before,
    enough,
    fit_offers,
    offer_scores,
    probability,
    rolling,
    rows,
)
from tasks.campaigns import responder
from tasks.files import storage
from tasks.files.prepared import Prepared

SEED = 17
WIDTH = 64
STEPS = 150
SHOWN = ("auc", "average_precision", "log_loss", "ece", "lift")
Chances = dict[str, NDArray[np.float64]]


def item_vectors(data: Prepared, path: Path) -> NDArray[np.float32]:
    """(I, WIDTH) each item's text vector, turned to the directions in which the texts differ most."""
    stored = storage.read_tensors(path)
    vectors, missing = lookup(text_hashes(data.texts), stored["hashes"], stored["vectors"])
    if missing.size:
        raise SystemExit(f"{path} lacks {missing.size} texts; run `make nightly`")
    centred = vectors.astype(np.float32) - vectors.mean(axis=0, dtype=np.float32)
    _, directions = np.linalg.eigh(centred.T @ centred)
    turned: NDArray[np.float32] = (centred @ directions[:, -WIDTH:])[data.products["text_id"].to_numpy()]
    return turned.astype(np.float32)


def calibrated(log_odds: Chances, parts: Sequence[CampaignRows]) -> Chances:
    """Each campaign's log-odds as probabilities, by the campaigns that ended before it began."""
    by_campaign = {}
    for part in parts:
        name = part.campaign.campaign_id
        if name in log_odds:
            by_campaign[name] = probability(
                log_odds[name], calibrate(log_odds, ended_before(parts, part.campaign.start_day))
            )
    return by_campaign


def with_text(record: Records, part: CampaignRows) -> CampaignRows:
    """The same rows with the features of text that the record's vectors allow."""
    market = record.on(part.campaign.start_day)
    names, values = campaign_rows(market, part.campaign, part.customer)
    return replace(part, names=names, values=values)


def past_rate(parts: Sequence[CampaignRows]) -> Chances:
    """Baseline: the share of campaigns that a customer answered, shrunk."""
    column = parts[0].names.index("answer_rate")
    rate = {part.campaign.campaign_id: np.clip(part.values[:, column], 0.005, 0.995) for part in parts}
    return {name: np.log(value / (1 - value)).astype(np.float64) for name, value in rate.items()}


def network(parts: Sequence[CampaignRows], vectors: NDArray[np.float32] | None) -> Chances:
    """Text + behaviour + context: two layers over all features and the mean text vector of the products on offer."""

    def inputs(part: CampaignRows) -> NDArray[np.float32]:
        if vectors is None:
            return part.values
        items = part.campaign.items
        mean = vectors[items].mean(axis=0) if items.size else np.zeros(vectors.shape[1], np.float32)
        return np.column_stack([part.values, np.broadcast_to(mean, (part.label.size, mean.size))])

    rolled: Chances = {}
    kept: dict[int, Callable] = {}
    for part in parts:
        before = ended_before(parts, part.campaign.start_day)
        if enough(before):
            if len(before) not in kept:
                kept[len(before)] = _trained(
                    np.concatenate([inputs(other) for other in before]),
                    np.concatenate([other.label for other in before]),
                )
            rolled[part.campaign.campaign_id] = kept[len(before)](inputs(part))
    return rolled


def _trained(values: NDArray[np.float32], label: NDArray[np.bool_]) -> Callable:
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-3
    members = []
    for seed in range(3):
        source = torch.Generator().manual_seed(SEED + seed)
        net = torch.nn.Sequential(
            torch.nn.Linear(values.shape[1], 24), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(24, 1)
        )
        for weight in net.parameters():
            weight.data = (torch.rand(weight.shape, generator=source) - 0.5) * 0.2
        x = torch.from_numpy(np.clip((values - mean) / scale, -4, 4).astype(np.float32))
        y = torch.from_numpy(label.astype(np.float32))
        optimiser = torch.optim.AdamW(net.parameters(), lr=0.003, weight_decay=0.3)
        for _ in range(STEPS):
            batch = torch.randint(len(x), (512,), generator=source)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x[batch])[:, 0], y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        members.append(net.eval())

    def log_odds(asked: NDArray[np.float32]) -> NDArray[np.float64]:
        x = torch.from_numpy(np.clip((asked - mean) / scale, -4, 4).astype(np.float32))
        with torch.no_grad():
            return np.mean([net(x)[:, 0].numpy() for net in members], axis=0).astype(np.float64)

    return log_odds


def evaluated(chances: Chances, parts: Sequence[CampaignRows], num: int = 300) -> dict[str, Any]:
    """Metrics over the campaigns `parts`, and how well each customer's campaigns are ordered."""
    probability_ = np.concatenate([chances[part.campaign.campaign_id] for part in parts])
    label, customer = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "customer"))
    metrics = figures(probability_, label, customer, SEED, num)
    return metrics | {"customer_to_campaigns": recommended(probability_, label, customer)}


def recommended(chance: NDArray, label: NDArray, customer: NDArray) -> dict[str, float]:
    """NDCG@3 of each customer's campaigns; customers who were shown two or more and answered some, not all."""
    order = np.argsort(customer, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(customer[order])) + 1)
    values, owners = [], []
    for group in groups:
        if 0 < label[group].sum() < group.size:
            values.append(float(ndcg(chance[group][None, :], label[group][None, :], 3)[0]))
            owners.append(int(customer[group[0]]))
    return mean_figure(np.array(values), np.array(owners, np.int32), SEED)


def offer_orders(parts: Sequence[CampaignRows], asked: Sequence[CampaignRows]) -> dict[str, dict[str, float]]:
    """NDCG@5 of the offers of each campaign in `asked`, for customers who responded."""
    place = {name: coupons.NAMES.index(name) for name in ("items", "kinds", "buyers")}
    orders: dict[str, list[NDArray]] = {"trees": [], **{f"own {name}": [] for name in place}}
    for part in asked:
        forest = fit_offers(ended_before(parts, part.campaign.start_day), SEED)
        orders["trees"].append(ndcg(offer_scores(forest, part.offers), part.taken))
        for name, at in place.items():
            orders[f"own {name}"].append(ndcg(part.offers[:, :, at].astype(float), part.taken))
    orders["bought by most"] = orders.pop("own buyers")
    owner = np.concatenate([part.customer[part.label] for part in asked])
    return {name: mean_figure(np.concatenate(values), owner, SEED) for name, values in orders.items()}


def line(name: str, metrics: dict[str, Any]) -> str:
    """A Markdown row."""
    cells = [f"{metrics[key]['value']:.3f} [{metrics[key]['low']:.3f}, {metrics[key]['high']:.3f}]" for key in SHOWN]
    order = metrics["customer_to_campaigns"]
    return f"| {name} | " + " | ".join(cells) + f" | {order['value']:.3f} [{order['low']:.3f}, {order['high']:.3f}] |"


def head(title: str, parts: Sequence[CampaignRows]) -> None:
    """The head of a table."""
    pairs, yes = sum(part.label.size for part in parts), sum(int(part.label.sum()) for part in parts)
    print(
        f"\n{title}: campaigns {', '.join(p.campaign.campaign_id for p in parts)}; {pairs:,} pairs, {yes} responses\n"
    )
    print("| model | AUC | AP | log-loss | ECE | lift | customer -> campaigns NDCG@3 |\n|---|---|---|---|---|---|---|")


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choice", nargs="+", default=["8", "9", "10", "11", "12", "13"], metavar="CAMPAIGN")
    parser.add_argument("--num-tests", type=int, default=5, help="last finished campaigns, on which nothing is chosen")
    args = parser.parse_args()
    started = time.perf_counter()
    data = Prepared()
    texts = {
        "frozen text": storage.ARTIFACTS / "embed" / "vectors.safetensors",
        "fine-tuned text": storage.ARTIFACTS / "finetune" / "text_vectors.safetensors",
    }
    vectors = {"": None} | {f" + {name}": item_vectors(data, path) for name, path in texts.items() if path.exists()}
    raw: dict[str, Chances] = {}
    plain: list[CampaignRows] = []
    for suffix, known in vectors.items():
        record = responder.record(data, known)
        if not suffix:
            plain = parts = [rows(record, k) for k in record.finished(int(record.histories.day.max()) + 1)]
            raw["past rate"] = past_rate(parts)
            raw |= {name: rolling(name, parts, SEED) for name in ("logistic", "trees", "forest")}
        else:
            parts = [with_text(record, part) for part in plain]
        print(f"{time.perf_counter() - started:.0f} s: features{suffix}", file=sys.stderr, flush=True)
        raw[f"blend{suffix}"] = rolling("blend", parts, SEED)
        raw[f"network{suffix}"] = network(parts, known)
    chances = {name: calibrated(log_odds, plain) for name, log_odds in raw.items()}
    known_ids = set.intersection(*(set(by_campaign) for by_campaign in chances.values()))
    some = [part for part in plain if part.campaign.campaign_id in known_ids]
    tests = some[-args.num_tests :]
    choice = [part for part in some[: -args.num_tests] if part.campaign.campaign_id in args.choice]
    by_title: dict[str, Any] = {}
    for title, asked in (("choice", choice), ("test", tests)):
        head(title, asked)
        by_title[title] = {name: evaluated(values, asked) for name, values in chances.items()}
        print("\n".join(line(name, figure) for name, figure in by_title[title].items()), flush=True)
        orders = offer_orders(plain, asked)
        by_title[title]["offers"] = orders
        for name, figure in orders.items():
            print(f"offers, {name}: NDCG@5 {figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]")
        best = min((name for name in models.CANDIDATES), key=lambda n: by_title[title][n]["log_loss"]["value"])
        print(f"least log-loss of what a responder can be: {best}")
    run = {"seconds": time.perf_counter() - started, "machine": machine(), "seed": SEED}
    print(json.dumps(by_title | run))


if __name__ == "__main__":
    main()
