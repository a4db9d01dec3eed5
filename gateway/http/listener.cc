#include "gateway/http/listener.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/strings.h"
#include "gateway/http/connection_impl.h"
#include "gateway/http/wire.h"

namespace fabro::http {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kAcceptPause{50};  // after an error such as "too many open files"
// Beyond the limit this many more are told 503 in full; whoever comes then is just closed.
constexpr std::size_t kRefusedAtOnce = 256;

using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;
}  // namespace

struct Listener::Impl {
  Impl(Runtime& r, TimeSource& time, ListenerOptions o)
      : runtime(r),
        options(std::move(o)),
        shared(time, options.limits, options.access_log, SecurityHeaders(options.tls != nullptr)),
        acceptor(runtime.context().get_executor()),
        accepting(runtime.executor()),
        ticking(runtime.executor()),
        connections(runtime.executor()) {}

  Runtime& runtime;
  const ListenerOptions options;
  Shared shared;
  Acceptor acceptor;
  std::uint16_t port = 0;
  mutable Mutex mutex;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> open GUARDED_BY(mutex);
  std::unordered_map<std::string, std::size_t> by_address GUARDED_BY(mutex);
  TaskScope accepting;
  TaskScope ticking;
  TaskScope connections;

  absl::Status Open();
  Task<void> Accept();
  Task<void> Tick();
  void Admit(PlainSocket socket);
  Task<void> Serve(std::shared_ptr<Connection> connection, std::string address);
  std::vector<std::shared_ptr<Connection>> Snapshot() const;
  void ReadClock();
};

absl::Status Listener::Impl::Open() {
  error_code error;
  tcp::resolver resolver(runtime.context());
  const auto found = resolver.resolve(options.host, std::to_string(options.port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, error);
  const std::string where = StrCat(options.host, ":", options.port);
  if (error || found.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::kInvalidArgument, where,
                 StrCat("cannot resolve ", options.host, ": ", error.message()));
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) port = acceptor.local_endpoint(error).port();
  if (!error) return absl::OkStatus();
  error_code ignored;
  acceptor.close(ignored);
  return Unavailable(Reason::kUpstream, where,
                     StrCat("cannot listen on ", where, ": ", error.message(),
                            "; choose another api.port (--port) or api.host (--host)"));
}

Task<void> Listener::Impl::Accept() {
  while (!shared.draining.load() && !co_await IsCancelled()) {
    error_code error;
    PlainSocket socket = co_await acceptor.async_accept(runtime.context().get_executor(),
                                                        asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      Admit(std::move(socket));
    } else if (error != asio::error::connection_aborted && error != asio::error::operation_aborted) {
      (void)co_await shared.time.Sleep(kAcceptPause);  // a cancelled sleep is seen by the loop
    }
  }
  error_code ignored;
  acceptor.close(ignored);
}

void Listener::Impl::Admit(PlainSocket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // gone already
  socket.non_blocking(true, error);
  socket.set_option(tcp::no_delay(true), error);
  socket.set_option(asio::socket_base::keep_alive(true), error);
  std::string address = peer.address().to_string();
  bool refuse = false;
  std::shared_ptr<Connection> connection;
  Executor strand = MakeResumingStrand(runtime);
  {
    MutexLock lock(&mutex);
    std::size_t& mine = by_address[address];
    const HttpLimits& limits = options.limits;
    refuse = open.size() >= limits.max_connections ||
             (limits.max_connections_per_address > 0 && mine >= limits.max_connections_per_address);
    if (refuse && open.size() >= limits.max_connections + kRefusedAtOnce) {
      if (mine == 0) by_address.erase(address);
      return;
    }
    ++mine;
    std::unique_ptr<Transport> transport = options.tls == nullptr
                                               ? MakePlainTransport(std::move(socket), strand)
                                               : MakeTlsTransport(std::move(socket), strand, *options.tls);
    connection = MakeConnection(std::move(transport), strand, address, shared, refuse);
    open.emplace(connection.get(), connection);
  }
  Task<void> task = Serve(connection, std::move(address));
  connection->SetTask(connections.SpawnOn(std::move(strand), "http connection", std::move(task)));
}

Task<void> Listener::Impl::Serve(std::shared_ptr<Connection> connection, std::string address) {
  co_await connection->Run();
  MutexLock lock(&mutex);
  open.erase(connection.get());
  const auto entry = by_address.find(address);
  if (entry != by_address.end() && --entry->second == 0) by_address.erase(entry);
}

void Listener::Impl::ReadClock() {
  shared.now_ms.store(
      std::chrono::duration_cast<std::chrono::milliseconds>(shared.time.Steady().time_since_epoch()).count());
}

Task<void> Listener::Impl::Tick() {
  while (!co_await IsCancelled()) {
    const absl::Status slept = co_await shared.time.Sleep(options.limits.tick);
    if (!slept.ok()) break;
    ReadClock();
    const std::int64_t now = shared.now_ms.load();
    MutexLock lock(&mutex);
    for (const auto& [connection, weak] : open) connection->CheckDeadline(now);
  }
}

std::vector<std::shared_ptr<Connection>> Listener::Impl::Snapshot() const {
  MutexLock lock(&mutex);
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [pointer, weak] : open) {
    if (auto connection = weak.lock()) all.push_back(std::move(connection));
  }
  return all;
}

Listener::Listener(Runtime& runtime, TimeSource& time, ListenerOptions options)
    : impl_(std::make_unique<Impl>(runtime, time, std::move(options))) {}

Listener::~Listener() = default;

absl::Status Listener::Bind() { return impl_->Open(); }

void Listener::Start(Handler& handler) {
  impl_->shared.handler = &handler;
  impl_->ReadClock();
  impl_->accepting.Spawn("http accept", impl_->Accept());
  impl_->ticking.Spawn("http ticker", impl_->Tick());
}

std::uint16_t Listener::port() const { return impl_->port; }

void Listener::Drain() {
  impl_->shared.draining.store(true);
  impl_->accepting.Cancel();
  for (const auto& connection : impl_->Snapshot()) connection->Drain();
}

void Listener::Stop(std::chrono::milliseconds grace) {
  Drain();
  impl_->accepting.JoinBlocking();
  TaskScope guard(impl_->runtime.executor());
  auto cut_off = [](Impl* impl, std::chrono::milliseconds after) -> Task<void> {
    const absl::Status slept = co_await impl->shared.time.Sleep(after);
    if (!slept.ok()) co_return;
    for (const auto& connection : impl->Snapshot()) connection->Abort();
  };
  guard.Spawn("http grace", cut_off(impl_.get(), grace));
  impl_->connections.JoinBlocking();
  guard.Cancel();
  guard.JoinBlocking();
  impl_->ticking.Cancel();  // last: it drives the time-outs of what was in flight
  impl_->ticking.JoinBlocking();
}

std::size_t Listener::connections() const {
  MutexLock lock(&impl_->mutex);
  return impl_->open.size();
}

}  // namespace fabro::http
