// A run's settings between their three forms: the request's, the stored JSON and what execution uses.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/config/run_overrides.h"

namespace fabro::v1 {
class RunSettings;
class StartRunSettings;
}  // namespace fabro::v1

namespace fabro::runtime {

// What a request says. InvalidArgument names the field by its path ("settings.hooks[2].matcher") when a value
// is not right, or when it asks for something that this version cannot do and must not leave out silently.
absl::StatusOr<config::RunOverrides> OverridesOf(const v1::StartRunSettings& settings);

// What a run will execute with, put together from all its sources: InvalidArgument for what cannot be done.
absl::Status CheckExecutable(const config::RunSettings& settings);

// Whether the server lets a run have these: InvalidArgument for a sandbox that sandbox.allowed_providers does
// not have and, when "local" is not in it, for a command hook on the host that is not one of the server's own
// file.
absl::Status CheckAllowed(const config::RunSettings& settings, const config::ServerConfig& server);

void Put(const config::RunSettings& settings, v1::RunSettings* out);
// What stands for a value that is not shown.
inline constexpr const char* kMask = "REDACTED";
// Takes out what must not be shown: the values of the environment and of headers, and a password in a URL.
void MaskSecrets(v1::RunSettings* settings);

// The stored form and back; DataLoss when the text is not such an object. Empty text is an empty object.
absl::StatusOr<std::string> SettingsToJson(const config::RunSettings& settings);
absl::StatusOr<config::RunSettings> SettingsFromJson(const std::string& json);

// InvalidArgument: "settings.work_dir must be ...".
absl::Status InvalidField(std::string_view field, std::string_view what);

}  // namespace fabro::runtime
