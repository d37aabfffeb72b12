"""Where images come from and how they are split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section, Title


class Normalisation(Section):
    """What weights that were trained elsewhere expect, a value per channel, of pixel values in [0, 1]."""

    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1, max_length=3)
    """What is subtracted."""
    deviation: tuple[Annotated[float, Field(ge=1e-3, le=10)], ...] = Field(min_length=1, max_length=3)
    """What the difference is divided by."""

    @model_validator(mode="after")
    def _consistent(self) -> Normalisation:
        if len(self.mean) != len(self.deviation) or len(self.mean) == 2:
            raise ValueError(
                f"mean and deviation: one value each for grey images, three for RGB, got {len(self.mean)} and "
                f"{len(self.deviation)}"
            )
        return self


class Reading(Section):
    """How a picture becomes the square that a network reads; a bundle carries it to where it runs."""

    fit: Literal["crop", "stretch"] = "crop"
    """Pictures that are not square: `crop` resizes by the shorter side and takes the middle, `stretch` squashes."""
    resize: int | None = Field(default=None, ge=4, le=1024)
    """Side in pixels to which the shorter side is resized before the middle is taken; absent: `image_size`."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """How pictures are resized."""


class Dataset(Section):
    """One set of images in three splits."""

    name: Name
    """Identity of the data set in file names and figures."""
    title: Title | None = None
    """What figures and tables call it; the name if absent."""
    source: Literal["digits", "folder", "cifar10", "cifar100"]
    """`digits`: scikit-learn's handwritten digits, no download. `folder`: a folder, or a .tar, .tar.gz, .tar.xz or
    .zip archive, with train/<class>/ and test/<class>/, or with <class>/ alone and `test_fraction`.
    `cifar10`, `cifar100`: torchvision's files, found under `path` or downloaded there."""
    path: str | None = None
    """Folder or archive (`folder`), or where torchvision's files are or go (`cifar10`, `cifar100`). A relative path
    counts from where snakemake runs."""
    download: bool = True
    """Whether torchvision may download CIFAR files that are not under `path`."""
    image_size: int | None = Field(default=None, ge=4, le=512)
    """Side in pixels to which images of a folder are resized; absent: all must already have one square size.
    It must be a multiple of 4."""
    fit: Literal["crop", "stretch"] = "crop"
    """Images of a folder that are not square: `crop` resizes by the shorter side and takes the middle, `stretch`
    squashes."""
    resize: int | None = Field(default=None, ge=4, le=1024)
    """Side in pixels to which the shorter side is resized before the middle is taken; absent: `image_size`."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """How images of a folder are resized."""
    classes: str | None = None
    """File with a line per output of the network, in their order: the name of a class's folder, then, if wanted, a
    space and what to call it; absent: the folders by name. A relative path counts from where snakemake runs."""
    normalisation: Normalisation | None = None
    """Mean and deviation that weights from elsewhere were trained with; absent: those of the training images."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training images (of all images where there is a `test_fraction`) kept aside to choose masks: of
    every class, or of all together where a class has too few images for that."""
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of all images for the test split of a source that brings none of its own: `digits` (0.2 if absent), or a
    folder of class folders without train/ and test/."""
    split_seed: int = Field(default=0, ge=0)
    """Seed of the split. It is not the training seed: all networks see the same split."""
    images_per_class: int | None = Field(default=None, ge=4)
    """At most this many images per class and source split, for a quick trial; absent: all."""

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if self.source == "digits" and self.path is not None:
            raise ValueError("path: scikit-learn's digits are inside the package; remove path")
        if self.source != "digits" and self.path is None:
            raise ValueError(f"path: source {self.source} needs the folder or archive to read")
        if self.source.startswith("cifar") and self.test_fraction is not None:
            raise ValueError(f"test_fraction: source {self.source} has a test split of its own; remove it")
        self._read_rightly()
        if self.validation_fraction + (self.test_fraction or 0) >= 0.9:
            raise ValueError("validation_fraction and test_fraction: leave at least a tenth for training")
        return self

    def _read_rightly(self) -> None:
        keys = ("image_size", "fit", "resize", "interpolation", "classes")
        given = [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]
        if self.source != "folder" and given:
            raise ValueError(f"{', '.join(given)}: only images of a folder are resized and named so; remove it")
        if self.image_size is None and given not in ([], ["classes"]):
            raise ValueError(f"{given[0]}: only images that are made image_size pixels wide are fitted; set image_size")
        if self.image_size is not None and self.image_size % 4:
            raise ValueError(f"image_size: must be a multiple of 4, got {self.image_size}")
        if self.resize is not None and (self.resize < (self.image_size or 4) or self.fit == "stretch"):
            raise ValueError(
                "resize: the shorter side before the middle of image_size pixels is taken; needs fit: crop and no less "
                "than image_size"
            )

    @property
    def reading(self) -> Reading:
        """How its pictures become squares."""
        return Reading(fit=self.fit, resize=self.resize, interpolation=self.interpolation)

    @property
    def label(self) -> str:
        """What figures and tables call the data set."""
        return self.title or self.name
