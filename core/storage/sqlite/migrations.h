// The schema of the SQLite database, as numbered steps that are only ever added to.
#pragma once

#include <array>
#include <string_view>

namespace fabro::storage::sqlite {

// Step n leads from PRAGMA user_version n to n + 1.
inline constexpr std::array<std::string_view, 7> kMigrations{R"sql(
-- The small part of a run that every commit rewrites. run_key is SQLite's rowid: other tables refer to it, because it
-- takes 1 to 4 bytes where an id takes 16. Ids sort by creation, so the unique index is also the order of lists.
CREATE TABLE runs (
  run_key        INTEGER PRIMARY KEY,
  id             BLOB NOT NULL UNIQUE,
  parent         BLOB,
  workflow_slug  TEXT NOT NULL,
  head           INTEGER NOT NULL,
  status         INTEGER NOT NULL,
  queue_state    INTEGER,
  neg_priority   INTEGER NOT NULL,
  queue_key      INTEGER NOT NULL,
  wake_at        INTEGER,
  started_at     INTEGER,
  finished_at    INTEGER,
  updated_at     INTEGER NOT NULL,
  outcome        TEXT NOT NULL,
  error          TEXT,
  simulated      INTEGER NOT NULL,
  stage_count    INTEGER NOT NULL,
  open_questions INTEGER NOT NULL,
  question_text  TEXT NOT NULL,
  current_node   TEXT NOT NULL
);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_workflow ON runs (workflow_slug, status, id);
CREATE INDEX runs_by_parent ON runs (parent, id) WHERE parent IS NOT NULL;
-- These two hold only the runs that want something, so start-up reads them whole however many runs are parked.
CREATE INDEX runs_by_queue ON runs (queue_state, neg_priority, queue_key, id) WHERE queue_state IS NOT NULL;
CREATE INDEX runs_by_timer ON runs (wake_at) WHERE wake_at IS NOT NULL;

-- What never changes, out of the way of the updates. The large columns come last: reading the others does not touch
-- their overflow pages.
CREATE TABLE run_facts (
  run_key       INTEGER PRIMARY KEY,
  created_at    INTEGER NOT NULL,
  workflow_name TEXT NOT NULL,
  created_by    TEXT NOT NULL,
  title         TEXT NOT NULL,
  labels        BLOB,
  goal          TEXT NOT NULL,
  vars          TEXT NOT NULL,
  settings      TEXT NOT NULL,
  source        TEXT NOT NULL
);

-- One row per commit, holding `count` records. In order of arrival with an index beside it: clustering by run would
-- dirty one page per run in every group commit (measured at half the speed with 64 writers).
CREATE TABLE events (
  run_key   INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  events    BLOB NOT NULL,
  deltas    BLOB
);
CREATE UNIQUE INDEX events_by_run ON events (run_key, first_seq);

-- How many runs there are, so that no list and no metric has to count a million index entries. Every transaction adds
-- up what its writes change and writes the sums.
CREATE TABLE run_counts (
  workflow_slug TEXT NOT NULL,
  status        INTEGER NOT NULL,
  runs          INTEGER NOT NULL,
  PRIMARY KEY (workflow_slug, status)
) WITHOUT ROWID;

CREATE TABLE snapshots (
  run_key INTEGER PRIMARY KEY,
  seq     INTEGER NOT NULL,
  state   BLOB NOT NULL
);

CREATE TABLE idempotent (
  principal    TEXT NOT NULL,
  request_key  TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  response     BLOB NOT NULL,
  expires_at   INTEGER NOT NULL,
  PRIMARY KEY (principal, request_key)
);
CREATE INDEX idempotent_by_expiry ON idempotent (expires_at);

-- One row, written to learn whether writing works.
CREATE TABLE store (probes INTEGER NOT NULL);
INSERT INTO store VALUES (0);
)sql",
                                                             R"sql(
-- What callers did. Numbers are never used again, so that a gap would show.
CREATE TABLE audit (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  principal  TEXT NOT NULL,
  action     TEXT NOT NULL,
  resource   TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  request_id TEXT NOT NULL
);
CREATE INDEX audit_by_principal ON audit (principal, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_resource ON audit (resource, id);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
)sql",
                                                             R"sql(
ALTER TABLE run_facts ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';
)sql",
                                                             R"sql(
-- What all runs together have used, for ever: one row of totals, and one for each model.
CREATE TABLE usage_totals (runs INTEGER NOT NULL, runtime_ms INTEGER NOT NULL);
INSERT INTO usage_totals VALUES (0, 0);
CREATE TABLE model_usage (
  model         TEXT PRIMARY KEY,
  stages        INTEGER NOT NULL,
  input_tokens  INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost_nanos    INTEGER NOT NULL
) WITHOUT ROWID;
)sql",
                                                             R"sql(
-- A look back at each run that has ended, written with its end.
CREATE TABLE retros (
  run_key          INTEGER PRIMARY KEY,
  workflow_slug    TEXT NOT NULL,
  finished_at      INTEGER NOT NULL,
  smoothness       INTEGER NOT NULL,
  duration_ms      INTEGER NOT NULL,
  cost_nanos       INTEGER,
  retries          INTEGER NOT NULL,
  friction_points  INTEGER NOT NULL,
  stages_completed INTEGER NOT NULL,
  stages_failed    INTEGER NOT NULL,
  files            BLOB
);
CREATE INDEX retros_by_end ON retros (finished_at, run_key);
CREATE INDEX retros_by_workflow ON retros (workflow_slug, finished_at, run_key);
CREATE INDEX retros_by_smoothness ON retros (smoothness, finished_at, run_key);
)sql",
                                                             R"sql(
-- Values that are too large for a context, each once, and which runs name them.
CREATE TABLE artifacts (
  artifact_key INTEGER PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,
  bytes        INTEGER NOT NULL,
  content      BLOB NOT NULL
);
CREATE TABLE artifact_refs (
  ref_key      INTEGER PRIMARY KEY,
  run_key      INTEGER NOT NULL,
  artifact_key INTEGER NOT NULL,
  name         TEXT NOT NULL,
  stage_id     TEXT NOT NULL,
  created_at   INTEGER NOT NULL
);
CREATE INDEX artifact_refs_by_run ON artifact_refs (run_key, ref_key);
CREATE INDEX artifact_refs_by_artifact ON artifact_refs (artifact_key, run_key);
)sql",
                                                             R"sql(
-- The run that this one was forked from.
ALTER TABLE run_facts ADD COLUMN forked_from BLOB;
)sql"};

}  // namespace fabro::storage::sqlite
