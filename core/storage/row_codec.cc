#include "core/storage/row_codec.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fabro::storage {
namespace {

std::optional<Timestamp> TimeAt(const SqlRow& row, int column) {
  if (row.IsNull(column)) return std::nullopt;
  return Timestamp{row.Int(column)};
}

std::string TextAt(const SqlRow& row, int column) { return std::string(row.Text(column)); }

}  // namespace

std::string_view IdBytes(const RunId& id) {
  return {reinterpret_cast<const char*>(id.bytes().data()), RunId::kBytes};
}

SqlValue OptionalTime(const std::optional<Timestamp>& at) { return at ? SqlValue(at->unix_ms) : SqlValue(); }

SqlValue OptionalId(const std::optional<RunId>& id) { return id ? SqlValue(Blob{IdBytes(*id)}) : SqlValue(); }

SqlValue OptionalQueueState(QueueState state) {
  return state == QueueState::kNone ? SqlValue() : SqlValue(static_cast<std::int64_t>(state));
}

RunId IdAt(const SqlRow& row, int column) {
  const std::string_view bytes = row.Bytes(column);
  std::array<std::uint8_t, RunId::kBytes> id{};
  std::memcpy(id.data(), bytes.data(), std::min(bytes.size(), id.size()));
  return RunId::FromBytes(id);
}

RunRow ReadRow(const SqlRow& row) {
  RunRow out;
  out.id = IdAt(row, 0);
  out.created_at = {row.Int(1)};
  if (!row.IsNull(2)) out.parent = IdAt(row, 2);
  out.workflow_name = TextAt(row, 3);
  out.workflow_slug = TextAt(row, 4);
  out.title = TextAt(row, 5);
  out.goal = TextAt(row, 6);
  out.created_by = TextAt(row, 7);
  out.labels = DecodeLabels(row.Bytes(8));
  out.head = EventSeq(static_cast<std::uint64_t>(row.Int(9)));
  out.status = static_cast<RunStatus>(row.Int(10));
  out.queue_state = row.IsNull(11) ? QueueState::kNone : static_cast<QueueState>(row.Int(11));
  out.priority = static_cast<std::int32_t>(-row.Int(12));
  out.queue_key = row.Int(13);
  out.wake_at = TimeAt(row, 14);
  out.started_at = TimeAt(row, 15);
  out.finished_at = TimeAt(row, 16);
  out.updated_at = {row.Int(17)};
  out.outcome = TextAt(row, 18);
  if (!row.IsNull(19)) out.error = TextAt(row, 19);
  out.simulated = row.Int(20) != 0;
  out.stage_count = static_cast<std::int32_t>(row.Int(21));
  out.open_questions = static_cast<std::int32_t>(row.Int(22));
  out.question_text = TextAt(row, 23);
  out.current_node = TextAt(row, 24);
  if (!row.IsNull(25)) out.forked_from = IdAt(row, 25);
  return out;
}

void AppendFrame(std::string& out, std::string_view item) {
  std::size_t size = item.size();
  while (size >= 0x80) {
    out.push_back(static_cast<char>(size | 0x80));
    size >>= 7;
  }
  out.push_back(static_cast<char>(size));
  out += item;
}

bool TakeFrame(std::string_view& in, std::string_view& item) {
  std::uint64_t size = 0;
  for (int shift = 0;; shift += 7) {
    if (in.empty() || shift > 56) return false;
    const auto byte = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    size |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (size > in.size()) return false;
  item = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

std::string EncodeLabels(const std::vector<std::pair<std::string, std::string>>& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    AppendFrame(out, name);
    AppendFrame(out, value);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> DecodeLabels(std::string_view bytes) {
  std::vector<std::pair<std::string, std::string>> labels;
  std::string_view name;
  std::string_view value;
  while (TakeFrame(bytes, name) && TakeFrame(bytes, value)) labels.emplace_back(name, value);
  return labels;
}

}  // namespace fabro::storage
