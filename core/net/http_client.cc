#include "core/net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <thread>

#include "core/async/channel.h"
#include "core/async/executor.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::net {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxHeadBytes = std::size_t{64} << 10;
constexpr std::size_t kHeldPieces =
    64;  // of at most CURL_MAX_WRITE_SIZE (16 KiB) each; then the server waits
constexpr milliseconds kConnectLimit{10'000};
constexpr int kIdleMs = 60'000;  // curl itself says when it must be called sooner

struct CurlFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

bool IsTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) { return !text.empty() && std::ranges::all_of(text, IsTokenCharacter); }

// A line's end in a value would begin a header of its own.
bool IsHeaderValue(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F; });
}

std::string Part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string value = text;
  curl_free(text);
  return value;
}

// "https://host:port": what may be told of a URL. Nothing when it is none of ours.
std::optional<std::string> OriginOf(const std::string& url) {
  const std::unique_ptr<CURLU, CurlFree> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const std::string scheme = Part(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return std::nullopt;
  const std::string port = Part(parsed.get(), CURLUPART_PORT);
  return StrCat(scheme, "://", Part(parsed.get(), CURLUPART_HOST), port.empty() ? "" : ":", port);
}

}  // namespace

// What curl knows is touched by the loop's thread alone; the rest says for itself.
struct HttpExchange::Transfer {
  Transfer(HttpRequest r, std::string o) : request(std::move(r)), origin(std::move(o)) {}

  absl::Status SetUp();
  void End(absl::Status how);
  absl::Status StatusOf(CURLcode code) const;

  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* self);

  const HttpRequest request;  // curl refers to its body
  const std::string origin;
  std::unique_ptr<curl_slist, CurlFree> headers;
  std::unique_ptr<CURL, CurlFree> easy;
  char error[CURL_ERROR_SIZE] = {};
  std::size_t head_bytes = 0;
  std::size_t body_bytes = 0;
  bool has_head = false;
  absl::Status refusal;  // why a callback of ours ended it

  HttpHead head;  // complete before head_known is
  Waiter head_known;
  Channel<std::string> pieces{kHeldPieces};  // full: curl is paused
  std::atomic<bool> paused = false;
  absl::Status end;  // written before `pieces` is closed
  std::atomic<bool> ended = false;
  std::atomic<bool> abandoned = false;
};

absl::Status HttpExchange::Transfer::SetUp() {
  easy.reset(curl_easy_init());
  if (easy == nullptr) return Internal("curl_easy_init failed");
  CURL* const h = easy.get();
  curl_easy_setopt(h, CURLOPT_PRIVATE, this);
  curl_easy_setopt(h, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);  // giving up never waits for a name server
  curl_easy_setopt(h, CURLOPT_PROXY, request.proxy.c_str());
  curl_easy_setopt(h, CURLOPT_NOPROXY, "");
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectLimit.count()));
  curl_easy_setopt(h, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, request.verify_tls ? 1L : 0L);
  curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, request.verify_tls ? 2L : 0L);
  if (!request.ca_file.empty()) curl_easy_setopt(h, CURLOPT_CAINFO, request.ca_file.c_str());
  curl_easy_setopt(h, CURLOPT_USERAGENT, "fabro");
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, this);
  if (const auto at = request.deadline.at()) {
    const auto left = std::chrono::duration_cast<milliseconds>(*at - Deadline::Clock::now());
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(left.count(), 1)));
  }
  if (request.method == "HEAD") curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
  if (request.method == "POST" || !request.body.empty()) {
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  // "Expect" is taken away: 100-continue would cost a second with a server that does not answer it.
  std::vector<std::string> lines = {"Expect:"};
  for (const auto& [name, value] : request.headers) {
    lines.push_back(value.empty() ? StrCat(name, ";") : StrCat(name, ": ", value));
  }
  for (const std::string& line : lines) {
    curl_slist* const longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return Internal("curl_slist_append failed");
    if (headers == nullptr) headers.reset(longer);  // afterwards it is the same list
  }
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
  return absl::OkStatus();
}

void HttpExchange::Transfer::End(absl::Status how) {
  if (how.ok() && !has_head) how = Unavailable(Reason::kUpstream, origin, StrCat(origin, ": no response"));
  end = how;
  ended = true;
  head_known.Complete(how);
  pieces.Close();
}

absl::Status HttpExchange::Transfer::StatusOf(CURLcode code) const {
  if (code == CURLE_OK) return absl::OkStatus();
  if (!refusal.ok()) return refusal;
  const std::string why = StrCat(origin, ": ", error[0] != '\0' ? error : curl_easy_strerror(code));
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Error(absl::StatusCode::kDeadlineExceeded, Reason::kUpstream, origin, why);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CACERT_BADFILE:
      return InvalidArgument(Reason::kInvalidArgument, origin, why);
    default:
      return Unavailable(Reason::kUpstream, origin, why);
  }
}

std::size_t HttpExchange::Transfer::OnHeader(char* data, std::size_t size, std::size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::string_view raw(data, size * count);
  transfer.head_bytes += raw.size();
  if (transfer.head_bytes > kMaxHeadBytes) {
    transfer.refusal =
        Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, transfer.origin,
              StrCat(transfer.origin, ": the response has more than ", kMaxHeadBytes, " bytes of headers"));
    return CURL_WRITEFUNC_ERROR;
  }
  if (transfer.has_head) return raw.size();  // trailers
  const std::string_view line = Trim(raw);
  if (line.starts_with("HTTP/")) {
    transfer.head = HttpHead();  // another one, behind a 1xx
  } else if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return raw.size();
    transfer.head.status = static_cast<int>(status);
    transfer.has_head = true;
    transfer.head_known.Complete(absl::OkStatus());
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    transfer.head.headers.emplace_back(ToLower(line.substr(0, colon)), Trim(line.substr(colon + 1)));
  }
  return raw.size();
}

std::size_t HttpExchange::Transfer::OnBody(char* data, std::size_t size, std::size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  if (bytes == 0) return 0;
  if (transfer.body_bytes + bytes > transfer.request.max_response_bytes) {
    transfer.refusal = Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, transfer.origin,
                             StrCat(transfer.origin, ": the response has more than ",
                                    transfer.request.max_response_bytes, " bytes"));
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.paused = true;  // before the try: who makes room afterwards sees it
  if (!transfer.pieces.TrySend(std::string(data, bytes))) return CURL_WRITEFUNC_PAUSE;  // it comes again
  transfer.paused = false;
  transfer.body_bytes += bytes;
  return bytes;
}

struct HttpExchange::Loop {
  explicit Loop(std::size_t max) : max_exchanges(max) {}

  absl::Status Add(std::shared_ptr<Transfer> transfer);
  void Touch();  // the loop looks at its transfers again
  void Run();
  void Admit();
  void LookAtAll();
  void Finish();
  void EndAll();
  void Remove(std::set<std::shared_ptr<Transfer>>::iterator at);

  const std::size_t max_exchanges;
  CURLM* multi = nullptr;
  std::set<std::shared_ptr<Transfer>> active;  // the thread's own
  std::atomic<bool> touched = false;
  Mutex mutex;
  std::vector<std::shared_ptr<Transfer>> added GUARDED_BY(mutex);  // bounded by max_exchanges
  std::size_t under_way GUARDED_BY(mutex) = 0;
  bool stopping GUARDED_BY(mutex) = false;
  std::thread thread;
};

absl::Status HttpExchange::Loop::Add(std::shared_ptr<Transfer> transfer) {
  {
    MutexLock lock(&mutex);
    if (stopping) return Unavailable(Reason::kDraining, transfer->origin, "the server is stopping");
    if (under_way >= max_exchanges) {
      return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, transfer->origin,
                   StrCat(max_exchanges, " requests to other servers are under way"));
    }
    ++under_way;
    added.push_back(std::move(transfer));
  }
  curl_multi_wakeup(multi);
  return absl::OkStatus();
}

void HttpExchange::Loop::Touch() {
  MutexLock lock(&mutex);
  if (stopping) return;  // the handle may be gone
  touched = true;
  curl_multi_wakeup(multi);
}

void HttpExchange::Loop::Run() {
  while (true) {
    {
      MutexLock lock(&mutex);
      if (stopping) break;
    }
    Admit();
    if (touched.exchange(false)) LookAtAll();
    int running = 0;
    curl_multi_perform(multi, &running);
    Finish();
    curl_multi_poll(multi, nullptr, 0, kIdleMs, nullptr);
  }
  EndAll();
}

void HttpExchange::Loop::Admit() {
  std::vector<std::shared_ptr<Transfer>> fresh;
  {
    MutexLock lock(&mutex);
    fresh.swap(added);
  }
  for (std::shared_ptr<Transfer>& transfer : fresh) {
    const absl::Status ready = transfer->SetUp();
    const auto at = active.insert(std::move(transfer)).first;
    if (ready.ok()) {
      curl_multi_add_handle(multi, (*at)->easy.get());
    } else {
      (*at)->End(ready);
      Remove(at);
    }
  }
}

void HttpExchange::Loop::LookAtAll() {
  for (auto at = active.begin(); at != active.end();) {
    const auto next = std::next(at);
    Transfer& transfer = **at;
    if (transfer.abandoned) {
      Remove(at);
    } else if (transfer.paused.exchange(false)) {
      curl_easy_pause(transfer.easy.get(), CURLPAUSE_CONT);
    }
    at = next;
  }
}

void HttpExchange::Loop::Finish() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    const auto at = std::ranges::find(active, owner, [](const auto& t) -> void* { return t.get(); });
    (*at)->End((*at)->StatusOf(code));
    Remove(at);
  }
}

void HttpExchange::Loop::EndAll() {
  Admit();
  while (!active.empty()) {
    (*active.begin())->End(Unavailable(Reason::kDraining, "", "the server is stopping"));
    Remove(active.begin());
  }
}

void HttpExchange::Loop::Remove(std::set<std::shared_ptr<Transfer>>::iterator at) {
  CURL* const easy = (*at)->easy.get();
  if (easy != nullptr) curl_multi_remove_handle(multi, easy);
  (*at)->easy.reset();
  active.erase(at);
  MutexLock lock(&mutex);
  --under_way;
}

HttpExchange::HttpExchange(std::shared_ptr<Loop> loop, std::shared_ptr<Transfer> transfer)
    : loop_(std::move(loop)), transfer_(std::move(transfer)) {}

HttpExchange::~HttpExchange() {
  if (transfer_->ended) return;
  transfer_->abandoned = true;
  loop_->Touch();
}

Task<absl::StatusOr<HttpHead>> HttpExchange::Head() {
  const absl::Status known = co_await transfer_->head_known.Wait();
  if (!known.ok()) co_return known;
  co_return transfer_->head;
}

Task<absl::StatusOr<std::string>> HttpExchange::Read() {
  absl::StatusOr<std::string> piece = co_await transfer_->pieces.Receive();
  if (piece.ok()) {
    if (transfer_->paused) loop_->Touch();
    co_return piece;
  }
  const bool cancelled = co_await IsCancelled();
  if (cancelled || !transfer_->ended) co_return piece.status();
  if (!transfer_->end.ok()) co_return transfer_->end;
  co_return std::string();
}

HttpClient::HttpClient(std::size_t max_exchanges)
    : loop_(std::make_shared<HttpExchange::Loop>(max_exchanges)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  loop_->multi = curl_multi_init();
  FABRO_CHECK(loop_->multi != nullptr);
  loop_->thread = std::thread([loop = loop_.get()] { loop->Run(); });
  pthread_setname_np(loop_->thread.native_handle(), "http");
}

HttpClient::~HttpClient() {
  {
    MutexLock lock(&loop_->mutex);
    loop_->stopping = true;
    curl_multi_wakeup(loop_->multi);
  }
  loop_->thread.join();
  curl_multi_cleanup(loop_->multi);
}

absl::StatusOr<std::unique_ptr<HttpExchange>> HttpClient::Start(HttpRequest request) {
  std::optional<std::string> origin = OriginOf(request.url);
  if (!origin) {
    return InvalidArgument(Reason::kInvalidArgument, "url", "the URL is not one of http:// or https://");
  }
  if (!IsToken(request.method)) {
    return InvalidArgument(Reason::kInvalidArgument, "method", "the method is not a word of HTTP");
  }
  for (const auto& [name, value] : request.headers) {
    if (IsToken(name) && IsHeaderValue(value)) continue;
    return InvalidArgument(
        Reason::kInvalidArgument, name,
        StrCat("the header ", JsonString(name), " holds characters that no header may hold"));
  }
  if (request.deadline.passed()) {
    return Error(absl::StatusCode::kDeadlineExceeded, Reason::kUpstream, *origin,
                 StrCat(*origin, ": the time for it was over before it began"));
  }
  auto transfer = std::make_shared<HttpExchange::Transfer>(std::move(request), *std::move(origin));
  FABRO_RETURN_IF_ERROR(loop_->Add(transfer));
  return std::unique_ptr<HttpExchange>(new HttpExchange(loop_, std::move(transfer)));
}

Task<absl::StatusOr<HttpResponse>> HttpClient::Fetch(HttpRequest request) {
  FABRO_CO_ASSIGN_OR_RETURN(const std::unique_ptr<HttpExchange> exchange, Start(std::move(request)));
  HttpResponse response;
  FABRO_CO_ASSIGN_OR_RETURN(response.head, co_await exchange->Head());
  while (true) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::string piece, co_await exchange->Read());
    if (piece.empty()) co_return response;
    response.body += piece;
  }
}

}  // namespace fabro::net
