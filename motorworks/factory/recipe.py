"""Finding a recipe: by its name in `recipes/`, or as `module:function` from anywhere."""

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from motorworks.factory.errors import BadUsage
from motorworks.factory.run import order
from motorworks.factory.step import Recipe, RecipeOptions, Step


def recipe_names() -> list[str]:
    """The recipes that come with the project."""
    spec = importlib.util.find_spec("recipes")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return sorted(module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))


def find_recipe(name: str) -> Recipe:
    """The function `NAME` of `recipes/NAME.py`."""
    names = recipe_names()
    if name not in names:
        raise BadUsage(f"no recipe is called {name!r}{nearest(name, names)}")
    return load_recipe(f"recipes.{name}:{name}")


def load_recipe(path: str) -> Recipe:
    """The function behind `module:function`; modules of the current folder are found too."""
    module_name, _, function_name = path.partition(":")
    if not module_name or not function_name:
        raise BadUsage(f"--recipe {path!r} is not module:function, as my_recipes.town:long")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the recipe exists, something that it imports does not
        raise BadUsage(f"--recipe {path}: there is no module {error.name!r} here or on the Python path") from error
    recipe = getattr(module, function_name, None)
    if not callable(recipe):
        raise BadUsage(f"--recipe {path}: {module_name} has no function {function_name!r}{nearest(function_name, dir(module))}")
    return recipe  # type: ignore[no-any-return]


def steps_of(recipe: Recipe, options: RecipeOptions) -> tuple[Step, ...]:
    """The goals a recipe returns."""
    goals = recipe(options)
    goals = goals if isinstance(goals, tuple) else (goals,)
    if not goals or not all(isinstance(goal, Step) for goal in goals):
        raise BadUsage(f"recipe {getattr(recipe, '__name__', recipe)} returned {goals!r}: return a Step or a tuple of Steps")
    return goals


def step_named(goals: Sequence[Step], name: str) -> Step:
    """One step of the chain."""
    steps = {step.name: step for step in order(*goals)}
    if name not in steps:
        raise BadUsage(f"the recipe has no step {name!r}{nearest(name, steps)}")
    return steps[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """': did you mean …?' with the nearest names, or what there is."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or [one for one in known if name and name in one][:3]
    if close:
        return f": did you mean {' or '.join(close)}?"
    return f": there is {', '.join(known[:12])}" if known else ": there is none"
