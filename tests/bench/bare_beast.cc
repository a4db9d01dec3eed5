// The least that Beast can do: answers every request with the bytes of a file. What the gateway is measured
// beside.
//
//   bare_beast PORT FILE [threads = 2]
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto kIgnore = [](const std::exception_ptr&) {};  // the process ends by being killed

asio::awaitable<void> Serve(tcp::socket socket, const std::string& body) {
  boost::beast::flat_buffer buffer;
  socket.set_option(tcp::no_delay(true));
  try {
    while (true) {
      http::request<http::string_body> request;
      co_await http::async_read(socket, buffer, request, asio::use_awaitable);
      http::response<http::string_body> response(http::status::ok, 11);
      response.set(http::field::content_type, "application/json");
      response.set("X-Request-Id", "01KAT3M2Q4V7RZ8N5C6YJ0W9XE");
      response.set("X-Content-Type-Options", "nosniff");
      response.set("Referrer-Policy", "no-referrer");
      response.set("Content-Security-Policy", "default-src 'none'");
      response.body() = body;
      response.prepare_payload();
      co_await http::async_write(socket, response, asio::use_awaitable);
    }
  } catch (const boost::system::system_error&) {  // the client has gone
  }
}

asio::awaitable<void> Accept(tcp::acceptor acceptor, const std::string& body) {
  const asio::any_io_executor executor = acceptor.get_executor();
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(executor, Serve(std::move(socket), body), kIgnore);
  }
}

// An io_context a thread, each with a listener of its own on the same port.
void Run(unsigned short port, const std::string& body) {
  asio::io_context context(1);
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  acceptor.set_option(asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>(true));
  acceptor.bind(tcp::endpoint(asio::ip::address_v4::loopback(), port));
  acceptor.listen();
  asio::co_spawn(context, Accept(std::move(acceptor), body), kIgnore);
  context.run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::puts("usage: bare_beast PORT FILE [THREADS]"), 2;
  std::ifstream file(argv[2], std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), {});
  const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
  const int threads = argc > 3 ? std::atoi(argv[3]) : 2;
  std::vector<std::jthread> running;
  for (int n = 0; n < threads; ++n) running.emplace_back([&] { Run(port, body); });
}
