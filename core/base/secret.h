// Text that must not reach a log, an error message or an answer: passwords, keys, tokens.
#pragma once

#include <string>
#include <utility>

namespace fabro {

// Holds a secret and offers it only by name: there is no conversion, no operator<< and no log field of this
// type, so printing one does not compile. The memory is overwritten when it goes away.
class SecretString {
 public:
  SecretString() = default;
  explicit SecretString(std::string text) : text_(std::move(text)) {}
  SecretString(const SecretString&) = default;
  SecretString(SecretString&& other) noexcept : text_(other.text_) { other.Wipe(); }
  SecretString& operator=(const SecretString& other) {
    if (this != &other) {
      Wipe();
      text_ = other.text_;
    }
    return *this;
  }
  SecretString& operator=(SecretString&& other) noexcept {
    if (this != &other) {
      Wipe();
      text_.swap(other.text_);
    }
    return *this;
  }
  ~SecretString() { Wipe(); }

  const std::string& Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  void Wipe() {
    volatile char* bytes = text_.data();  // volatile: a plain loop before destruction would be optimised away
    for (std::size_t i = 0; i < text_.size(); ++i) bytes[i] = 0;
    text_.clear();
  }

  std::string text_;
};

}  // namespace fabro
