"""Where things are in the tree the command line belongs to."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = Path("supabase/migrations")
POLICIES = Path("supabase/policies")
