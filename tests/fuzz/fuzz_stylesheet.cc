// Any bytes as a model stylesheet, applied to nodes of several shapes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/workflow/stylesheet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fabro::workflow;
  const auto sheet = Stylesheet::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!sheet.ok()) return 0;
  for (const char* shape : {"", "box", "tab", "circle"}) {
    Node node;
    node.id = "n";
    node.shape = shape;
    node.classes = {"a", "b"};
    sheet->Apply(node);
  }
  sheet->models();
  sheet->selectors();
  return 0;
}
