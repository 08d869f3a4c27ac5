"""The words that conditions may use where the vocabulary is closed, and which of them never come together."""

from responder.core.failure import Category, Confidence, Retry, StateLeft

SYNC_PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete")
WORDS: dict[str, tuple[str, ...]] = {
    "category": tuple(Category),
    "retry": tuple(Retry),
    "state_left": tuple(StateLeft),
    "confidence": tuple(Confidence),
    "sync_phase": SYNC_PHASES,
    "initiated_by": ("user", "automated"),
}

# Somebody has to change something first, so `retry` is never safe. A user's signature may know better (`passes: true`).
LASTING = frozenset(
    {
        Category.ALREADY_EXISTS, Category.MISSING_OBJECT, Category.SYNTAX_ERROR, Category.CONSTRAINT_VIOLATION,
        Category.HISTORY_CONFLICT, Category.CHECKSUM_MISMATCH, Category.DIRTY_STATE, Category.MISSING_CONFIG,
        Category.IMPORT_ERROR, Category.CODE_ERROR, Category.VERSION_MISMATCH, Category.DATA_ERROR,
        Category.DATABASE_MISSING, Category.PERMISSION_DENIED, Category.OOM_KILLED, Category.IMMUTABLE_JOB,
        Category.STALE_JOB, Category.NONE,
    }
)  # fmt: skip
