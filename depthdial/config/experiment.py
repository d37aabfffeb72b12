"""The whole experiment: what config/config.yaml may say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section, Seed
from depthdial.config.benchmark import Benchmark
from depthdial.config.compare import Compare
from depthdial.config.data import Dataset
from depthdial.config.deploy import Deploy
from depthdial.config.evaluate import Evaluate
from depthdial.config.figures import Figures
from depthdial.config.finetune import Finetune
from depthdial.config.networks import Network, Survival
from depthdial.config.schedule import Schedule
from depthdial.config.search import Search
from depthdial.config.select import Select
from depthdial.config.traces import Traces
from depthdial.config.training import Recipe

DIGITS = Dataset(name="digits", title="handwritten digits", source="digits", validation_fraction=0.2, test_fraction=0.2)
DEFAULT_NETWORKS = (
    Network(name="resnet20-sd", role="dial", depth=20, survival=Survival()),
    Network(name="resnet20-cd", role="control", depth=20),
    Network(name="resnet14", role="static", depth=14),
    Network(name="resnet8", role="static", depth=8),
)
MOST_JOBS = 100_000
"""Jobs of a workflow; the scale of the paper is under two thousand."""


SHARES: dict[str, bool | float] = {"own": False, "blend": 0.5, "recalibrated": True}
"""The share of statistics taken anew in those that are used, by the name of the setting."""


class Experiment(Section):
    """One experiment: data, networks, and what is done with them."""

    experiment: Name = "digits"
    """Name of the experiment; its results live under results/<experiment>/."""
    datasets: tuple[Dataset, ...] = Field(default=(DIGITS,), min_length=1, max_length=100)
    """The image sets; every network is trained on each of them."""
    seeds: tuple[Seed, ...] = Field(default=(0, 1), min_length=1, max_length=100)
    """Training seeds: one run per data set, network and seed."""
    recipes: tuple[Recipe, ...] = Field(default=(Recipe(),), min_length=1, max_length=100)
    """Named training recipes."""
    networks: tuple[Network, ...] = Field(default=DEFAULT_NETWORKS, min_length=1, max_length=200)
    """The networks to train."""
    evaluate: Evaluate = Evaluate()
    """How masks are evaluated."""
    search: Search = Search()
    """How the masks of deep networks are searched, and how strategies are compared."""
    select: Select = Select()
    """How configurations are chosen among the masks."""
    finetune: Finetune | None = None
    """How dials are fine-tuned on their configurations; absent: they are deployed as trained."""
    deploy: Deploy = Deploy()
    """How configurations are compiled, checked and bundled."""
    benchmark: Benchmark = Benchmark()
    """How configurations are measured on devices."""
    traces: Traces = Traces()
    """Conditions over time: what the schedule learns from and what policies are compared on."""
    schedule: Schedule = Schedule()
    """How the schedule table is solved."""
    compare: Compare = Compare()
    """At which costs networks are compared."""
    figures: Figures = Figures()
    """How figures look."""

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        problems = [
            *_repeated("datasets", (dataset.name for dataset in self.datasets)),
            *_repeated("networks", (network.name for network in self.networks)),
            *_repeated("recipes", (recipe.name for recipe in self.recipes)),
            *_repeated("seeds", self.seeds),
        ]
        recipes = [recipe.name for recipe in self.recipes]
        for index, network in enumerate(self.networks):
            if network.adopted:
                if self.finetune is not None and network.role == "dial":
                    problems.append(f"networks[{index}].recipe: none trains nothing, finetune needs a recipe; name one")
            elif network.recipe not in recipes:
                problems.append(
                    f"networks[{index}].recipe: there is no recipe {network.recipe!r}; recipes are {', '.join(recipes)}"
                )
            elif network.role != "dial" and self.recipe(network.name).sandwich is not None:
                problems.append(
                    f"networks[{index}].recipe: {network.recipe} has sandwich steps, which train a dial; "
                    f"a {network.role} network has constant depth"
                )
            if network.recipe in recipes:
                problems += [f"networks[{index}].survival: {problem}" for problem in self._survival_problems(network)]
                problems += [f"networks[{index}].weights: {problem}" for problem in self._teacher_problems(network)]
            problems += [f"networks[{index}].weights: {problem}" for problem in self._beginning_problems(network)]
            if network.searched and network.n_units and (problem := self.search.problem(network.n_units)):
                problems.append(f"search.{problem} (network {network.name})")
            most = max(self.compare.skipped, default=0)
            if network.searched and self.too_deep(network.name) and most > (network.n_units or 0):
                problems.append(
                    f"compare.skipped: {most} blocks cannot be skipped, {network.name} has {network.n_units}"
                )
        if self.select.cost not in ("macs", *self.benchmark.devices):
            there = ", ".join(("macs", *self.benchmark.devices))
            problems.append(
                f"select.cost: {self.select.cost!r} is neither macs nor a device of the benchmark ({there})"
            )
        if self.deploy.seed not in self.seeds:
            problems.append(
                f"deploy.seed: {self.deploy.seed} is not among the seeds that are trained "
                f"({', '.join(map(str, self.seeds[:8]))}); networks of one of these are deployed"
            )
        if (jobs := self._evaluation_jobs()) > MOST_JOBS:
            problems.append(
                f"seeds, datasets, networks, evaluate.shards, search.generations: {jobs:,} jobs of evaluation alone; "
                f"Snakemake plans at most {MOST_JOBS:,} in bearable time, so give fewer"
            )
        if not any(network.role == "dial" for network in self.networks):
            problems.append("networks: none has role dial, so there is nothing to turn; give one role: dial")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _survival_problems(self, network: Network) -> list[str]:
        """Whether a dial has survival probabilities where its recipe draws by them, and nowhere else."""
        if network.role != "dial":
            return []
        draws = self.recipe(network.name).draws_by_survival
        if draws and network.survival is None:
            return ["a dial is trained with Stochastic Depth; add `survival: {last: 0.5}`"]
        if not draws and network.survival is not None:
            return [f"every step of recipe {network.recipe} is a sandwich, nothing draws by it; remove it"]
        return []

    def _teacher_problems(self, network: Network) -> list[str]:
        """Whether a network whose sandwiches ask the one that it began with begins with a trained one."""
        sandwich = self.recipe(network.name).sandwich
        if sandwich is None or network.weights is not None:
            return []
        asked = {"distil: start": sandwich.distil == "start", "draw: greedy": sandwich.draw == "greedy"}
        return [
            f"recipe {network.recipe} has {key}, which asks the network that training began with; name weights"
            for key, asks in asked.items()
            if asks
        ]

    def _beginning_problems(self, network: Network) -> list[str]:
        """What keeps a network from beginning with the weights of the network that it names, if it names one."""
        earlier = self.begins_with(network.name)
        if earlier is None:
            return []
        if network.name in self.earlier(network.name):
            return [f"{network.name} would begin with its own weights; name another network"]
        if self.network(earlier).adopted:
            return [f"{earlier} is adopted, not trained; name its weights, {self.network(earlier).weights}"]
        if self.network(earlier).shape != network.shape:
            return [
                f"{earlier} is a {self.network(earlier).shape_name}, {network.name} a {network.shape_name}; "
                f"name a network of the same shape"
            ]
        return []

    def _evaluation_jobs(self) -> int:
        """Jobs that train networks and evaluate their masks, or more."""
        searched = sum(network.searched for network in self.networks)
        deep = sum(network.searched and not self.all_masks_known(network.name) for network in self.networks)
        shards = self.evaluate.shards * (searched - deep + deep * self.search.generations)
        return len(self.datasets) * len(self.seeds) * (len(self.networks) + shards)

    def network(self, name: str) -> Network:
        """The network of that name."""
        return next(network for network in self.networks if network.name == name)

    def begins_with(self, name: str) -> str | None:
        """The other network of the experiment that the named one begins with the weights of, if it does."""
        weights = self.network(name).weights
        return weights if weights in self.names() else None

    def earlier(self, name: str) -> list[str]:
        """The networks that are trained before the named one because it begins with their weights, the last one first.

        It contains ``name`` itself if they begin with each other's, which is refused.
        """
        found: list[str] = []
        before = self.begins_with(name)
        while before is not None and before not in found:
            found.append(before)
            before = self.begins_with(before)
        return found

    def recipe(self, network: str) -> Recipe:
        """The recipe of the named network."""
        wanted = self.network(network).recipe
        return next(recipe for recipe in self.recipes if recipe.name == wanted)

    def evaluation(self, network: str) -> Evaluate:
        """How the masks of the named network are evaluated: as all are, but with a scaling of its own if it has one."""
        settings = self.network(network)
        scaling = settings.scaling or (self.evaluate.scaling if settings.family == "he_resnet" else "none")
        return self.evaluate.model_copy(update={"scaling": scaling})

    def recalibration(self, network: str) -> bool | float | None:
        """The share of BatchNorm statistics taken anew for masks of the named network; None if that is to be found."""
        settings = self.network(network)
        if not settings.searched:
            return False
        if self.evaluate.recalibrate == "auto":
            return None if settings.adopted else True
        return SHARES[self.evaluate.recalibrate]

    def dataset(self, name: str) -> Dataset:
        """The data set of that name."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def names(self, *roles: str) -> list[str]:
        """Names of the networks that have one of the roles; of all networks without any."""
        return [network.name for network in self.networks if not roles or network.role in roles]

    def all_masks_known(self, network: str) -> bool:
        """Whether the table of a network holds all its masks, so that searches can be compared with the truth."""
        units = self.network(network).n_units
        return units is not None and units <= self.search.exhaustive_blocks

    def too_deep(self, network: str) -> bool:
        """Whether a network has too many masks to evaluate them all."""
        return (self.network(network).n_units or 0) > self.search.exhaustive_blocks

    def searches_compared(self, network: str) -> bool:
        """Whether strategies are compared on a dial: with the truth, or with each other if there is a budget for it."""
        return self.all_masks_known(network) or (self.too_deep(network) and self.search.compare_deep_budget > 0)


def _repeated(key: str, values: Iterable[object]) -> list[str]:
    twice = [str(value) for value, count in Counter(values).items() if count > 1]
    return [f"{key}: {', '.join(twice)} given more than once; names and seeds are identities"] if twice else []
