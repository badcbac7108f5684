"""Recipe files: shipped ones are whole and valid, mistakes are answered with their line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from yolograft.cli.options import Training
from yolograft.cli.recipes import make_recipe
from yolograft.data.augment import AugmentConfig
from yolograft.engine.criteria import check_loss_settings
from yolograft.engine.recipe import FINE_TUNING, Recipe
from yolograft.engine.recipefile import RecipeFile, read_recipe_file, shipped_recipes
from yolograft.errors import MAX_LINE, SpecError
from yolograft.models.catalog import FAMILIES


def written(text: str | bytes, folder: Path, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_whole_valid_and_explained(name: str) -> None:
    file = read_recipe_file(name)
    assert file.values.keys() == Recipe.model_fields.keys()
    assert file.values["augment"].keys() == AugmentConfig.model_fields.keys()
    recipe = make_recipe((), file=file)
    assert (recipe.digest() == Recipe().digest()) == (name in ("default", "common"))
    data = shipped_recipes()[name].read_bytes()
    assert file.facts() == {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
    assert data.startswith(b"# ") and data.count(b"  # ") >= 3
    # The help names them all.
    assert name in (Training.__doc__ or "")


def test_shipped_recipes_differ() -> None:
    known = {"default", "common", "finetune", "small-data", "light", "strong", *FAMILIES}
    assert shipped_recipes().keys() == known
    digests = {make_recipe((), file=read_recipe_file(name)).digest() for name in known - {"common"}}
    assert len(digests) == len(known) - 1
    assert read_recipe_file("strong").values["augment"]["mixup"] > 0
    assert read_recipe_file("strong").values["multi_scale"] > 0


@pytest.mark.parametrize("page", ["docs/recipes.md", "docs/recipes.zh.md"])
def test_the_page_names_every_recipe_and_every_key_of_fine_tuning(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    for name in (*shipped_recipes(), *FINE_TUNING, "freeze"):
        assert f"`{name}`" in text, name
    # Whatever the recipe for trained weights changes stands there with its value and a reason.
    before, changed = Recipe(), make_recipe((), file=read_recipe_file("finetune"))
    for key in Recipe.model_fields:
        if key != "augment" and getattr(changed, key) != getattr(before, key):
            value = getattr(changed, key)
            assert f"`{key}: {value}" in text or f"`{key}: {value:g}" in text, key
    assert (
        changed.augment.mosaic == 0.5 and changed.augment.model_copy(update={"mosaic": 1.0}) == before.augment
    )


def test_a_family_recipe_trains_its_family() -> None:
    for name, family in FAMILIES.items():
        recipe = make_recipe((), file=read_recipe_file(name))
        check_loss_settings(family, recipe)
        assert recipe.optimizer == "sgd" and recipe.peak_lr(80) * 64 / recipe.batch == 0.01


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("epochs: 3\nlr_finl: 0.1\n", "YG192", 2, "did you mean lr_final?"),
        ("# c\naugment:\n  mosaic: 1\n  mosiac: 0\n", "YG192", 4, "'augment.mosiac' -> did you mean mosaic?"),
        ("epochs: 3\n\nmosaic: 0\n", "YG192", 3, "augment.mosaic"),
        ("batch: 4\nlr: fast\n", "YG192", 2, "recipe lr: Input should be a valid number"),
        ("lr: 1e-3\nepochs: 2.5\n", "YG192", 2, "epochs"),
        ("imgsz: 640\n", "YG192", 1, "[480, 640]"),
        ("batch: 8\nimgsz: [640, 650]\n", "YG192", 2, "multiples of 32"),
        ("augment:\n  hsv_h: 3\n", "YG192", 2, "augment.hsv_h"),
        ("batch: 4\naugment: 3\n", "YG192", 2, "recipe augment"),
        ("epochs:\n", "YG192", 1, "epochs"),
        ("lr: .nan\n", "YG192", 1, "finite"),
        ("a: 1\nb: [1\nc: 2\n", "YG195", 3, "not YAML"),
        ("epochs: 1\nepochs: 2\n", "YG195", 2, "duplicate key"),
        ("- epochs\n", "YG195", 1, "not keys with values"),
        ("epochs 3\n", "YG195", 1, "not keys with values"),
        ("epochs: 3\n---\nlr: 1\n", "YG195", 2, "another document"),
        (b"epochs: 3\n# \xff\xfe\n", "YG195", 2, "UTF-8"),
        ("lr: !!python/object/apply:os.getcwd []\n", "YG192", 1, "lr"),
        ("epochs: 3\n? [a]\n: 1\n", "YG192", 2, "no recipe key"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\n", "YG195", 1, "anchor or alias: a"),
        ("epochs: 3\nbatch: &x [*x]\n", "YG195", 2, "anchor or alias: x"),
        ("lr: 1\nepochs: " + "9" * 5000 + "\n", "YG195", 2, "5000 characters"),
        ("epochs: 0x" + "f" * 5000 + "\n", "YG195", 1, "5002 characters"),
        ("lr: 1\na: " + "[" * 20_000, "YG195", 2, "4 levels of nesting"),
        ("\n".join(" " * i + "a:" for i in range(300)), "YG195", 5, "4 levels of nesting"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    text: str | bytes, code: str, line: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        read_recipe_file(written(text, tmp_path))
    said = caught.value.line()
    assert said.startswith(f"{code} mine.yaml:{line}: ") and words in said and len(said) <= MAX_LINE


@pytest.mark.parametrize("text", ["lr: 2024-13-45\n", 'epochs: !!int "x"\n', 'lr: !!float "x"\n'])
def test_a_value_yaml_itself_cannot_read_is_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^YG195 mine\.yaml: a value that cannot be read: "):
        read_recipe_file(written(text, tmp_path))


def test_a_recipe_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"YG194 no recipe 'strnog' -> did you mean strong\?"):
        read_recipe_file("strnog")


def test_yaml_1_2_is_read(tmp_path: Path) -> None:
    file = read_recipe_file(written(b"\xef\xbb\xbflr: 1e-3\r\nmomentum: .9\r\nepochs: 0o17\r\n", tmp_path))
    assert file.values == {"lr": 0.001, "momentum": 0.9, "epochs": 15}
    assert [type(value) for value in file.values.values()] == [float, float, int]
    assert read_recipe_file(written("", tmp_path)).values == {}
    assert read_recipe_file(written("epochs: 2\n", tmp_path, "配方 1.yml")).name == "配方 1.yml"


def test_what_comes_later_wins(tmp_path: Path) -> None:
    text = "epochs: 7\nbatch: 4\nlr: 0.5\naugment:\n  mosaic: 0.25\n  scale: 0.125\n"
    file = read_recipe_file(written(text, tmp_path))
    before = str(file.values)
    recipe = make_recipe(["lr=.001", "augment.scale=0"], file=file, batch=2, epochs=None)
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.momentum) == (7, 2, 0.001, 0.9)
    assert (recipe.augment.mosaic, recipe.augment.scale, recipe.augment.fliplr) == (0.25, 0.0, 0.5)
    assert str(file.values) == before


@pytest.mark.parametrize("setting", ["lr=.001", "augment.mosaic=0.5", "box_loss=giou"])
def test_the_hash_changes_with_a_value_and_only_with_one(setting: str, tmp_path: Path) -> None:
    plain = read_recipe_file(written("epochs: 3\nclip: 10\n", tmp_path))
    other = read_recipe_file(written("# words\nclip:   10.0\nepochs: 3\n", tmp_path))
    assert plain.sha256 != other.sha256
    assert make_recipe((), file=plain).digest() == make_recipe((), file=other).digest()
    changed = make_recipe([setting], file=plain)
    assert changed.digest() != make_recipe((), file=plain).digest()
    same = RecipeFile("x", {}, "")
    assert make_recipe(["epochs=3", setting], file=same).digest() == changed.digest()
