"""Object bytes on disk, named by object id and version and never by anything a client chose."""

import contextlib
import os
import uuid
from pathlib import Path


class Files:
    """Immutable files: a new version of an object is a new file.

    A file is placed before its row is committed and removed after, so a crash may leave bytes
    without a row, never a row without bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "objects"
        self._drafts = folder / "drafts"

    def draft(self) -> Path:
        """A new place to write bytes to; give it to `place` or unlink it."""
        self._drafts.mkdir(parents=True, exist_ok=True)
        return self._drafts / uuid.uuid4().hex

    def place(self, draft: Path, object_id: object, version: str) -> None:
        """Make the draft the bytes of this version."""
        target = self.path(object_id, version)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(target)

    def twin(self, object_id: object, version: str) -> Path:
        """A draft holding the bytes of an existing version."""
        draft = self.draft()
        os.link(self.path(object_id, version), draft)
        return draft

    def path(self, object_id: object, version: str) -> Path:
        """Where the bytes are. Raises ValueError when the version is not one of ours."""
        name = f"{uuid.UUID(str(object_id)).hex}-{uuid.UUID(version).hex}"
        return self._folder / name[:2] / name

    def remove(self, object_id: object, version: str) -> None:
        """Delete the bytes, if they are there."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.path(object_id, version).unlink()
