// Between rows of the database and the structs of run_row.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/storage/run_row.h"
#include "core/storage/sql_connection.h"

namespace fabro::storage {

// --- parameters
std::string_view IdBytes(const RunId& id);  // a view into `id`
SqlValue OptionalTime(const std::optional<Timestamp>& at);
SqlValue OptionalId(const std::optional<RunId>& id);  // as IdBytes
SqlValue OptionalQueueState(QueueState state);        // NULL for kNone

// --- columns
RunId IdAt(const SqlRow& row, int column);
RunRow ReadRow(const SqlRow& row);          // FABRO_RUN_COLUMNS
inline constexpr int kRunColumnCount = 26;  // what follows them starts here

// --- framing: each item as a varint of its size and its bytes
void AppendFrame(std::string& out, std::string_view item);
// Takes the next item off `in`; false if `in` is damaged.
bool TakeFrame(std::string_view& in, std::string_view& item);

std::string EncodeLabels(const std::vector<std::pair<std::string, std::string>>& labels);
std::vector<std::pair<std::string, std::string>> DecodeLabels(std::string_view bytes);

}  // namespace fabro::storage
