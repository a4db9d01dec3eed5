#include "core/base/random.h"

#include <random>

namespace fabro {
namespace {

class RealRandom final : public Random {
 public:
  std::uint64_t Next() override {
    thread_local std::mt19937_64 generator = [] {
      std::random_device device;
      std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
      return std::mt19937_64(seed);
    }();
    return generator();
  }
};

}  // namespace

Random& SystemRandom() {
  static RealRandom random;
  return random;
}

}  // namespace fabro
