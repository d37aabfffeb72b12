"""Where images come from and how they are split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section


class Dataset(Section):
    """One set of images in three splits."""

    name: Name
    """Identity of the data set in file names and figures."""
    title: str | None = Field(default=None, max_length=60)
    """What figures and tables call it; the name if absent."""
    source: Literal["digits", "folder", "cifar10", "cifar100"]
    """`digits`: scikit-learn's handwritten digits, no download. `folder`: a folder, or a .tar, .tar.gz, .tar.xz or
    .zip archive, with train/<class>/ and test/<class>/. `cifar10`, `cifar100`: torchvision's files, found under
    `path` or downloaded there."""
    path: str | None = None
    """Folder or archive (`folder`), or where torchvision's files are or go (`cifar10`, `cifar100`). A relative path
    counts from where snakemake runs."""
    download: bool = True
    """Whether torchvision may download CIFAR files that are not under `path`."""
    image_size: int | None = Field(default=None, ge=4, le=512)
    """Side in pixels to which images of a folder are resized; absent: all must already have one square size.
    It must be a multiple of 4."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training images (of all images for `digits`) kept aside, per class, to choose masks."""
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of all images for the test split of `digits`, which brings none of its own (0.2 if absent)."""
    split_seed: int = Field(default=0, ge=0)
    """Seed of the stratified split. It is not the training seed: all networks see the same split."""
    images_per_class: int | None = Field(default=None, ge=4)
    """At most this many images per class and source split, for a quick trial; absent: all."""

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if self.source == "digits" and self.path is not None:
            raise ValueError("path: scikit-learn's digits are inside the package; remove path")
        if self.source != "digits" and self.path is None:
            raise ValueError(f"path: source {self.source} needs the folder or archive to read")
        if self.source != "digits" and self.test_fraction is not None:
            raise ValueError(f"test_fraction: source {self.source} has a test split of its own; remove it")
        if self.source != "folder" and self.image_size is not None:
            raise ValueError("image_size: only images of a folder are resized; remove it")
        if self.image_size is not None and self.image_size % 4:
            raise ValueError(f"image_size: must be a multiple of 4, got {self.image_size}")
        if self.validation_fraction + (self.test_fraction or 0) >= 0.9:
            raise ValueError("validation_fraction and test_fraction: leave at least a tenth for training")
        return self

    @property
    def label(self) -> str:
        """What figures and tables call the data set."""
        return self.title or self.name
