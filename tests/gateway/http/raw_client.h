// A blocking client that sends exactly the bytes it is given, over TLS if it is told how, for tests of what a
// server does with them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fabro::http {

class RawClient {
 public:
  static constexpr int kPatienceMs = 10'000;  // a test that waits longer has failed

  // With a `tls` it shakes hands at once; connected() tells whether that went well.
  explicit RawClient(std::uint16_t port, int receive_buffer = 0, SSL_CTX* tls = nullptr,
                     SSL_SESSION* resume = nullptr, const char* from = nullptr)
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (from != nullptr) {  // an address of this machine, such as 127.0.0.2
      ::inet_pton(AF_INET, from, &address.sin_addr);
      ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    if (tls == nullptr || !connected_) return;
    const timeval patience{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, fd_);
    if (resume != nullptr) SSL_set_session(ssl_, resume);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    SSL_free(ssl_);
    ssl_ = nullptr;
  }
  void CloseWrite() {
    if (ssl_ != nullptr) SSL_shutdown(ssl_);
    ::shutdown(fd_, SHUT_WR);
  }
  SSL* ssl() const { return ssl_; }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                           : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Appends what arrives next; false at the end of the stream or when patience is over.
  bool Receive() {
    pollfd poll{fd_, POLLIN, 0};
    if ((ssl_ == nullptr || SSL_pending(ssl_) == 0) && ::poll(&poll, 1, kPatienceMs) != 1) return false;
    char bytes[16384];
    const ssize_t size =
        ssl_ != nullptr ? SSL_read(ssl_, bytes, sizeof bytes) : ::recv(fd_, bytes, sizeof bytes, 0);
    if (size <= 0) return false;
    received_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }

  // Everything up to and with `mark`, taken off what was received; empty when it never comes.
  std::string ReadUntil(std::string_view mark) {
    while (true) {
      const std::size_t at = received_.find(mark);
      if (at != std::string::npos) return Take(at + mark.size());
      if (!Receive()) return {};
    }
  }

  std::string ReadToEnd() {
    while (Receive()) {
    }
    return Take(received_.size());
  }

  // A head and a body of Content-Length bytes.
  std::string ReadAnswer(bool has_body = true) {
    std::string answer = ReadUntil("\r\n\r\n");
    const std::size_t at = answer.find("Content-Length: ");
    if (!has_body || at == std::string::npos) return answer;
    const std::size_t size = static_cast<std::size_t>(std::atoll(answer.c_str() + at + 16));
    while (received_.size() < size && Receive()) {
    }
    return answer + Take(std::min(size, received_.size()));
  }

  // True when the server closes without sending more.
  bool IsClosed() { return !Receive(); }

 private:
  std::string Take(std::size_t size) {
    std::string taken = received_.substr(0, size);
    received_.erase(0, size);
    return taken;
  }

  int fd_;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  std::string received_;
};

}  // namespace fabro::http
