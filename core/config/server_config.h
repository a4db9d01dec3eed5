// What server.toml can say, as plain values with their defaults. Filled by Load(); nothing here reads files.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/config/run_settings.h"

namespace fabro::config {

using StringList = std::vector<std::string>;
using StringMap = std::map<std::string, std::string>;
using StringListMap = std::map<std::string, StringList>;
using HookList = std::vector<Hook>;

enum class AuthStrategy : std::uint8_t { kJwt, kMtls };

// Paths of PEM files; all empty: no TLS.
struct TlsFiles {
  std::string cert;
  std::string key;
  std::string ca;
  bool any() const { return !cert.empty() || !key.empty() || !ca.empty(); }
  bool all() const { return !cert.empty() && !key.empty() && !ca.empty(); }
};

struct ApiConfig {
  std::string host = "127.0.0.1";
  int port = 3000;       // 0: any free port
  std::string base_url;  // no '/' at its end; empty only when not set and the port is 0: see DefaultBaseUrl()
  std::optional<std::vector<AuthStrategy>>
      authentication_strategies;  // absent and empty differ: api.md section 6
  TlsFiles tls;
  StringList cors_origins;
};

struct WebConfig {
  std::string url;
  StringList allowed_usernames;
  std::string provider;
};

struct CoreConfig {
  std::string listen;  // "unix:PATH" or "host:port"; unix:STORAGE/core.sock unless set
  std::string socket_mode =
      "0600";  // of a unix socket; or "0660": whoever is of its group may call as anyone
  TlsFiles tls;
  StringList trusted_gateways;  // common names
};

struct GatewayConfig {
  std::string core;  // where the core is, as core.listen; the same default
  TlsFiles tls;      // the gateway's client certificate
};

struct LlmConfig {
  std::string provider;
  std::string model;
  StringListMap fallbacks;  // provider -> models
  bool dry_run = false;
};

struct SandboxConfig {
  std::string provider = "local";
  std::optional<StringList> allowed_providers;  // that a run may have; not set: every one
  StringMap env;
  std::string bubblewrap_network = "none";  // or "allow"
  std::int64_t bubblewrap_memory_mb = 0;    // 0: no limit, as in the two below
  std::int64_t bubblewrap_max_processes = 0;
  std::int64_t bubblewrap_cpu_seconds = 0;
  std::string docker_image;
  std::string docker_network = "none";
  std::int64_t docker_memory_mb = 0;  // as those of bubblewrap
  std::int64_t docker_max_processes = 0;
  std::int64_t docker_cpu_seconds = 0;
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
};

struct Limits {
  std::int64_t max_body_bytes = 4 << 20;
  std::int64_t max_header_bytes = 32 << 10;
  std::int64_t max_connections = 10'000;
  std::int64_t max_connections_per_address = 0;  // 0: no limit
  std::int64_t requests_per_second = 0;          // per principal; 0: no limit
  std::int64_t burst = 0;                        // 0: as many as requests_per_second
  std::int64_t max_queued_runs = 100'000;
  std::int64_t max_calls = 4'000;     // that the core answers at once, streams aside
  std::int64_t max_streams = 20'000;  // that the core feeds at once
};

// Principals by role; see core/security/access.h.
struct AccessConfig {
  std::optional<StringList> viewers;
  std::optional<StringList> operators;
  std::optional<StringList> admins;
  bool configured() const { return viewers || operators || admins; }  // else everyone may do everything
};

struct ServerConfig {
  std::string storage_dir;  // absolute or relative to the working directory; ~/.fabro unless set
  std::string storage_url;  // sqlite:STORAGE/fabro.db unless set
  int max_concurrent_runs = 5;
  std::chrono::milliseconds stop_grace{30'000};
  ApiConfig api;
  WebConfig web;
  CoreConfig core;
  GatewayConfig gateway;
  LlmConfig llm;
  SandboxConfig sandbox;
  StringMap vars;
  StringList setup_commands;
  std::int64_t setup_timeout_ms = 0;  // 0: the default of a command
  StringList checkpoint_exclude_globs;
  StringList assets_include;
  HookList hooks;
  StringList workflow_dirs;  // STORAGE/workflows and ./.fabro/workflows unless set
  LogConfig log;
  bool retros = true;
  bool metrics_open = false;
  Limits limits;
  AccessConfig access;
};

// "http://localhost:PORT" (https with TLS): what base_url is when nobody set it.
std::string DefaultBaseUrl(const ServerConfig& config, int port);

}  // namespace fabro::config
