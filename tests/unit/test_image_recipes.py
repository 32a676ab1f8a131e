"""How images are keyed and staged: what goes in decides the key, and everything that a Dockerfile copies goes in."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.cluster.images import RECIPES, Recipe, digest
from tests.cluster.rootfs import PYTHON, RootFs
from tests.cluster.wheelhouse import for_python

LOCK = """\
aiohttp==3.14.5 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via kopf
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:cc
    # via click
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:dd
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:ee
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print(1)\n")
    return Recipe(tmp_path, ("src",), PYTHON, None)


def test_the_same_content_has_the_same_key(recipe: Recipe) -> None:
    assert digest(recipe, "a:1") == digest(dataclasses.replace(recipe), "a:1")


@pytest.mark.parametrize("file", ["Dockerfile", "src/main.py", "src/new.py"])
def test_a_changed_or_new_file_changes_the_key(recipe: Recipe, file: str) -> None:
    before = digest(recipe, "a:1")

    (recipe.context / file).write_text("changed\n")

    assert digest(recipe, "a:1") != before


def test_bytecode_beside_the_sources_changes_nothing(recipe: Recipe) -> None:
    before = digest(recipe, "a:1")

    (recipe.context / "src" / "__pycache__").mkdir()
    (recipe.context / "src" / "__pycache__" / "main.pyc").write_bytes(b"x")

    assert digest(recipe, "a:1") == before


def test_another_base_changes_the_key(recipe: Recipe) -> None:
    other = dataclasses.replace(recipe, base=RootFs("python", "trixie", ("python3",)))

    assert digest(other, "a:1") != digest(recipe, "a:1")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_stages_every_file_that_its_dockerfile_copies(name: str) -> None:
    recipe = RECIPES[name]
    copies = re.findall(
        r"^COPY (?!--from)(.+)$", (recipe.context / recipe.dockerfile).read_text(), re.MULTILINE
    )
    sources = {source for line in copies for source in line.split()[:-1] if "*" not in source}

    assert sources - {recipe.dockerfile} <= set(recipe.files)


def test_a_lock_is_cut_down_to_what_the_images_python_installs() -> None:
    assert for_python(LOCK, "3.13") == (
        "aiohttp==3.14.5 \\\n"
        "    --hash=sha256:aa \\\n"
        "    --hash=sha256:bb\n"
        "    # via kopf\n"
        "numpy==2.5.5 \\\n"
        "    --hash=sha256:ee\n"
    )


def test_an_older_python_gets_its_own_line_of_the_lock() -> None:
    assert "numpy==2.4.6 \\" in for_python(LOCK, "3.11")
