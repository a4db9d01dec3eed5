// Every statement of the store, once, for all backends. Boolean and enum columns are integers; times are
// milliseconds since the epoch; queue_state is NULL for runs that want no slot and neg_priority is the
// priority negated, so that one ascending index is the scheduling order.
#pragma once

#include "core/storage/sql_connection.h"

namespace fabro::storage::sql {

// The order that ReadRow (row_codec.cc) expects.
#define FABRO_RUN_COLUMNS                                                                                  \
  "r.id, f.created_at, r.parent, f.workflow_name, r.workflow_slug, f.title, f.goal, f.created_by, "        \
  "f.labels, "                                                                                             \
  "r.head, r.status, r.queue_state, r.neg_priority, r.queue_key, r.wake_at, r.started_at, r.finished_at, " \
  "r.updated_at, r.outcome, r.error, r.simulated, r.stage_count, r.open_questions, r.question_text, "      \
  "r.current_node, f.forked_from "
#define FABRO_RUN_JOIN "runs r JOIN run_facts f ON f.run_key = r.run_key "
#define FABRO_KEY "(SELECT run_key FROM runs WHERE id = $1)"

// --- writing

inline constexpr Statement kInsertRun{"insert run",
                                      "INSERT INTO runs (id, head, updated_at, started_at, finished_at, "
                                      "outcome, error, simulated, stage_count, "
                                      "open_questions, question_text, current_node, status, queue_state, "
                                      "neg_priority, queue_key, wake_at, parent, "
                                      "workflow_slug) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
                                      "$12, $13, $14, $15, $16, $17, $18, $19) "
                                      "ON CONFLICT (id) DO NOTHING"};

inline constexpr Statement kInsertFacts{"insert run facts",
                                        "INSERT INTO run_facts (run_key, created_at, workflow_name, title, "
                                        "goal, created_by, labels, source, settings, "
                                        "vars, traceparent, forked_from) VALUES (" FABRO_KEY
                                        ", $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"};

#define FABRO_HOT_ASSIGNMENTS                                                                             \
  "head = $2, updated_at = $3, started_at = $4, finished_at = $5, outcome = $6, error = $7, simulated = " \
  "$8, "                                                                                                  \
  "stage_count = $9, open_questions = $10, question_text = $11, current_node = $12 "

inline constexpr Statement kBefore{"read run before update",
                                   "SELECT head, status, workflow_slug FROM runs WHERE id = $1"};

// Most steps move no indexed column. SQLite rewrites the indexes of every column that is assigned, changed or
// not, so this one, which assigns none, is tried first.
inline constexpr Statement kUpdateRunHot{"update run, indexes kept",
                                         "UPDATE runs SET " FABRO_HOT_ASSIGNMENTS
                                         "WHERE id = $1 AND head = $18 AND status = $13 AND queue_state IS "
                                         "NOT DISTINCT FROM $14 AND neg_priority = $15 "
                                         "AND queue_key = $16 AND wake_at IS NOT DISTINCT FROM $17"};

inline constexpr Statement kUpdateRun{
    "update run", "UPDATE runs SET " FABRO_HOT_ASSIGNMENTS
                  ", status = $13, queue_state = $14, neg_priority = $15, queue_key = $16, wake_at = $17 "
                  "WHERE id = $1 AND head = $18"};

inline constexpr Statement kInsertEvents{
    "append events",
    "INSERT INTO events (run_key, first_seq, count, events, deltas) VALUES (" FABRO_KEY ", $2, $3, $4, $5)"};

inline constexpr Statement kPutSnapshot{
    "put snapshot", "INSERT INTO snapshots (run_key, seq, state) VALUES (" FABRO_KEY
                    ", $2, $3) "
                    "ON CONFLICT (run_key) DO UPDATE SET seq = excluded.seq, state = excluded.state"};

inline constexpr Statement kAddCount{
    "count runs",
    "INSERT INTO run_counts (workflow_slug, status, runs) VALUES ($1, $2, $3) "
    "ON CONFLICT (workflow_slug, status) DO UPDATE SET runs = run_counts.runs + excluded.runs"};
inline constexpr Statement kForgetCount{
    "forget empty counts", "DELETE FROM run_counts WHERE workflow_slug = $1 AND status = $2 AND runs = 0"};

inline constexpr Statement kAddRuntime{
    "add up runs", "UPDATE usage_totals SET runs = runs + $1, runtime_ms = runtime_ms + $2"};
inline constexpr Statement kAddModelUse{
    "add up models",
    "INSERT INTO model_usage (model, stages, input_tokens, output_tokens, cost_nanos) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (model) DO UPDATE SET "
    "stages = model_usage.stages + excluded.stages, "
    "input_tokens = model_usage.input_tokens + excluded.input_tokens, "
    "output_tokens = model_usage.output_tokens + excluded.output_tokens, "
    "cost_nanos = model_usage.cost_nanos + excluded.cost_nanos"};

// A run with its child runs, theirs, and so on.
inline constexpr Statement kFamily{
    "read family",
    "WITH RECURSIVE family (run_key, id, status, workflow_slug) AS ("
    "SELECT run_key, id, status, workflow_slug FROM runs WHERE id = $1 UNION "
    "SELECT c.run_key, c.id, c.status, c.workflow_slug FROM runs c JOIN family p ON c.parent = p.id) "
    "SELECT run_key, id, status, workflow_slug FROM family"};
inline constexpr Statement kDeleteEvents{"delete events", "DELETE FROM events WHERE run_key = $1"};
inline constexpr Statement kDeleteSnapshot{"delete snapshot", "DELETE FROM snapshots WHERE run_key = $1"};
inline constexpr Statement kDeleteRetro{"delete retro", "DELETE FROM retros WHERE run_key = $1"};
// Those that no other run names, before the run's own names go.
inline constexpr Statement kDeleteArtifacts{
    "delete artifacts",
    "DELETE FROM artifacts WHERE artifact_key IN (SELECT artifact_key FROM artifact_refs WHERE run_key = $1) "
    "AND NOT EXISTS (SELECT 1 FROM artifact_refs o WHERE o.artifact_key = artifacts.artifact_key AND "
    "o.run_key <> $1)"};
inline constexpr Statement kDeleteArtifactRefs{"delete names of artifacts",
                                               "DELETE FROM artifact_refs WHERE run_key = $1"};
inline constexpr Statement kDeleteFacts{"delete run facts", "DELETE FROM run_facts WHERE run_key = $1"};
inline constexpr Statement kDeleteRun{"delete run", "DELETE FROM runs WHERE run_key = $1"};

inline constexpr Statement kPutIdempotent{
    "put answer",
    "INSERT INTO idempotent (principal, request_key, request_hash, response, expires_at) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (principal, request_key) DO UPDATE SET "
    "request_hash = excluded.request_hash, response = excluded.response, expires_at = excluded.expires_at "
    "WHERE idempotent.expires_at <= $6"};
// Each answer put takes away two that have expired, so the table follows the rate of requests without a
// timer.
inline constexpr Statement kForgetExpired{
    "forget expired answers",
    "DELETE FROM idempotent WHERE (principal, request_key) IN ("
    "SELECT principal, request_key FROM idempotent WHERE expires_at <= $1 ORDER BY expires_at LIMIT 2)"};

inline constexpr Statement kInsertAudit{"write audit",
                                        "INSERT INTO audit (at, principal, action, resource, outcome, "
                                        "request_id) VALUES ($1, $2, $3, $4, $5, $6)"};

inline constexpr Statement kPutRetro{
    "put retro",
    "INSERT INTO retros (run_key, workflow_slug, finished_at, smoothness, duration_ms, cost_nanos, retries, "
    "friction_points, stages_completed, stages_failed, files) SELECT run_key, workflow_slug, $2, $3, $4, $5, "
    "$6, $7, $8, $9, $10 FROM runs WHERE id = $1 ON CONFLICT (run_key) DO NOTHING"};

inline constexpr Statement kPutArtifact{"put artifact",
                                        "INSERT INTO artifacts (hash, bytes, content) VALUES ($1, $2, $3) "
                                        "ON CONFLICT (hash) DO NOTHING"};
inline constexpr Statement kPutArtifactRef{
    "name artifact",
    "INSERT INTO artifact_refs (run_key, artifact_key, name, stage_id, created_at) SELECT " FABRO_KEY
    ", artifact_key, $3, $4, $5 FROM artifacts WHERE hash = $2"};
inline constexpr Statement kShareArtifacts{"share artifacts",
                                           "INSERT INTO artifact_refs (run_key, artifact_key, name, "
                                           "stage_id, created_at) SELECT (SELECT run_key FROM "
                                           "runs WHERE id = $2), artifact_key, name, stage_id, created_at "
                                           "FROM artifact_refs WHERE run_key = " FABRO_KEY
                                           " ORDER BY ref_key"};

inline constexpr Statement kProbe{"probe", "UPDATE store SET probes = probes + 1"};

// --- one run

inline constexpr Statement kGetRun{"read run",
                                   "SELECT " FABRO_RUN_COLUMNS "FROM " FABRO_RUN_JOIN "WHERE r.id = $1"};
inline constexpr Statement kGetSource{
    "read source", "SELECT source, settings, vars, traceparent FROM run_facts WHERE run_key = " FABRO_KEY};
inline constexpr Statement kGetSnapshot{"read snapshot",
                                        "SELECT seq, state FROM snapshots WHERE run_key = " FABRO_KEY};

// $2 is the first sequence number wanted, which may lie inside a row.
#define FABRO_EVENTS_FROM                                   \
  "FROM events WHERE run_key = " FABRO_KEY                  \
  " AND first_seq >= COALESCE((SELECT max(first_seq) FROM " \
  "events WHERE run_key = " FABRO_KEY " AND first_seq <= $2), $2) ORDER BY first_seq"
inline constexpr Statement kReadRecords{"read records",
                                        "SELECT first_seq, count, events, deltas " FABRO_EVENTS_FROM};
inline constexpr Statement kReadEvents{"read events", "SELECT first_seq, count, events " FABRO_EVENTS_FROM};

inline constexpr Statement kArtifactsOfRun{
    "list artifacts",
    "SELECT a.hash, a.bytes, n.name, n.stage_id, n.created_at FROM artifact_refs n JOIN artifacts a ON "
    "a.artifact_key = n.artifact_key WHERE n.run_key = " FABRO_KEY " ORDER BY n.ref_key LIMIT $2 OFFSET $3"};
inline constexpr Statement kGetArtifact{"read artifact", "SELECT content FROM artifacts WHERE hash = $1"};

// --- lists

// Walks an index in the order of ids (which is the order of creation) and loads only the rows of the page.
#define FABRO_PAGE(order, pick)                                                                  \
  "SELECT " FABRO_RUN_COLUMNS                                                                    \
  ", CASE WHEN r.queue_state = 2 THEN (SELECT count(*) FROM runs q WHERE q.queue_state = 2 AND " \
  "(q.neg_priority, q.queue_key, q.id) <= (r.neg_priority, r.queue_key, r.id)) END "             \
  "FROM (" pick " ORDER BY id " order                                                            \
  " LIMIT $1 OFFSET $2) p JOIN runs r ON r.run_key = p.run_key "                                 \
  "JOIN run_facts f ON f.run_key = p.run_key ORDER BY r.id " order

#define FABRO_ALL_RUNS "SELECT run_key, id FROM runs"
// $3 is the set of statuses as bits. One arm per status: each is an index range in order, and they are
// merged.
#define FABRO_STATUS_ARM(where, n, bit) \
  "SELECT run_key, id FROM runs WHERE " where "status = " n " AND ($3 & " bit ") <> 0"
#define FABRO_STATUS_ARMS(where) \
  FABRO_STATUS_ARM(where, "0", "1") " UNION ALL " FABRO_STATUS_ARM(where, "1", "2") " UNION ALL " \
  FABRO_STATUS_ARM(where, "2", "4") " UNION ALL " FABRO_STATUS_ARM(where, "3", "8") " UNION ALL " \
  FABRO_STATUS_ARM(where, "4", "16") " UNION ALL " FABRO_STATUS_ARM(where, "5", "32") " UNION ALL " \
  FABRO_STATUS_ARM(where, "6", "64")
#define FABRO_BY_STATUS FABRO_STATUS_ARMS("")
#define FABRO_BY_WORKFLOW FABRO_STATUS_ARMS("workflow_slug = $4 AND ")
#define FABRO_BY_PARENT                                                                           \
  "SELECT run_key, id FROM runs WHERE parent = $5 AND ((1 << status) & $3) <> 0 AND ($4 = '' OR " \
  "workflow_slug = $4)"

inline constexpr Statement kPageAllNewest{"list runs", FABRO_PAGE("DESC", FABRO_ALL_RUNS)};
inline constexpr Statement kPageAllOldest{"list runs", FABRO_PAGE("ASC", FABRO_ALL_RUNS)};
inline constexpr Statement kPageStatusNewest{"list runs by status", FABRO_PAGE("DESC", FABRO_BY_STATUS)};
inline constexpr Statement kPageStatusOldest{"list runs by status", FABRO_PAGE("ASC", FABRO_BY_STATUS)};
inline constexpr Statement kPageWorkflowNewest{"list runs by workflow",
                                               FABRO_PAGE("DESC", FABRO_BY_WORKFLOW)};
inline constexpr Statement kPageWorkflowOldest{"list runs by workflow", FABRO_PAGE("ASC", FABRO_BY_WORKFLOW)};
inline constexpr Statement kPageParentNewest{"list runs by parent", FABRO_PAGE("DESC", FABRO_BY_PARENT)};
inline constexpr Statement kPageParentOldest{"list runs by parent", FABRO_PAGE("ASC", FABRO_BY_PARENT)};

inline constexpr Statement kCountByStatus{"count runs",
                                          "SELECT status, sum(runs) FROM run_counts GROUP BY status"};
inline constexpr Statement kCountWorkflow{
    "count runs of a workflow",
    "SELECT sum(runs) FROM run_counts WHERE workflow_slug = $2 AND ((1 << status) & $1) <> 0"};
inline constexpr Statement kCountParent{"count child runs",
                                        "SELECT count(*) FROM runs WHERE parent = $3 AND ((1 << status) & "
                                        "$1) <> 0 AND ($2 = '' OR workflow_slug = $2)"};

inline constexpr Statement kUsageTotals{"read usage", "SELECT runs, runtime_ms FROM usage_totals"};
inline constexpr Statement kModelUsage{
    "read usage by model",
    "SELECT model, stages, input_tokens, output_tokens, cost_nanos FROM model_usage ORDER BY model"};

// Those that ended last first; one statement for each index that gives the order.
#define FABRO_RETROS(where)                                                                           \
  "SELECT r.id, f.title, t.workflow_slug, t.finished_at, t.smoothness, t.duration_ms, t.cost_nanos, " \
  "t.retries, t.friction_points, t.stages_completed, t.stages_failed, t.files FROM "                  \
  "(SELECT run_key FROM retros " where                                                                \
  " ORDER BY finished_at DESC, run_key DESC LIMIT $1 OFFSET $2) p JOIN retros t ON t.run_key = "      \
  "p.run_key JOIN runs r ON r.run_key = p.run_key JOIN run_facts f ON f.run_key = p.run_key "         \
  "ORDER BY t.finished_at DESC, t.run_key DESC"
inline constexpr Statement kRetros{"list retros", FABRO_RETROS("")};
inline constexpr Statement kRetrosOfWorkflow{"list retros by workflow",
                                             FABRO_RETROS("WHERE workflow_slug = $3")};
inline constexpr Statement kRetrosOfSmoothness{"list retros by smoothness",
                                               FABRO_RETROS("WHERE smoothness = $4")};
inline constexpr Statement kRetrosOfBoth{"list retros by workflow and smoothness",
                                         FABRO_RETROS("WHERE workflow_slug = $3 AND smoothness = $4")};

// --- the audit

// The newest first. One statement for each filter that may come first, because that one's index gives the
// order; the others are looked at row by row ($n is empty: any).
#define FABRO_AUDIT(where)                                                                    \
  "SELECT id, at, principal, action, resource, outcome, request_id FROM audit WHERE " where   \
  " ($3 = '' OR principal = $3) AND ($4 = '' OR action = $4) AND ($5 = '' OR resource = $5) " \
  "ORDER BY id DESC LIMIT $1 OFFSET $2"
inline constexpr Statement kAuditAll{"list audit", FABRO_AUDIT("")};
inline constexpr Statement kAuditOfResource{"list audit by resource", FABRO_AUDIT("resource = $5 AND")};
inline constexpr Statement kAuditOfPrincipal{"list audit by principal", FABRO_AUDIT("principal = $3 AND")};
inline constexpr Statement kAuditOfAction{"list audit by action", FABRO_AUDIT("action = $4 AND")};

// --- the scheduler

inline constexpr Statement kRunnable{"list runnable runs",
                                     "SELECT " FABRO_RUN_COLUMNS "FROM " FABRO_RUN_JOIN
                                     "WHERE r.queue_state IS NOT NULL AND (r.queue_state, r.neg_priority, "
                                     "r.queue_key, r.id) > ($2, $3, $4, $5) "
                                     "ORDER BY r.queue_state, r.neg_priority, r.queue_key, r.id LIMIT $1"};
inline constexpr Statement kQueuePosition{
    "read queue position",
    "SELECT (SELECT count(*) FROM runs q WHERE q.queue_state = 2 AND (q.neg_priority, q.queue_key, q.id) <= "
    "(r.neg_priority, r.queue_key, r.id)) FROM runs r WHERE r.id = $1 AND r.queue_state = 2"};
inline constexpr Statement kDueTimers{
    "list due timers", "SELECT id, wake_at FROM runs WHERE wake_at <= $1 ORDER BY wake_at, run_key LIMIT $2"};
inline constexpr Statement kNextWakeAt{"read next timer",
                                       "SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL"};

inline constexpr Statement kGetIdempotent{
    "read answer",
    "SELECT request_hash, response, expires_at FROM idempotent WHERE principal = $1 AND request_key = $2"};

}  // namespace fabro::storage::sql
