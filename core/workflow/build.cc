#include "core/workflow/build.h"

#include <algorithm>
#include <initializer_list>
#include <unordered_set>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/attributes.h"

namespace fabro::workflow {
namespace {

constexpr std::size_t kMaxClasses = 64;                // of a node
constexpr std::size_t kMaxFileBytes = 16 << 20;        // of all `@path` files together
constexpr std::size_t kLongestNameWorthGuessing = 64;  // for "did you mean"

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

class Builder {
 public:
  Builder(Document document, const SourceText& source, const LoadOptions& options,
          DiagnosticList& diagnostics)
      : document_(std::move(document)), source_(source), options_(options), diagnostics_(diagnostics) {}

  Built Build() {
    BuildNodes();
    BuildEdges();
    BuildGraphAttributes();
    ApplyStylesheet();
    for (Node& node : graph_.nodes) FinishNode(node);
    return {std::move(graph_), std::move(stylesheet_)};
  }

 private:
  void BuildNodes() {
    graph_.nodes.resize(document_.nodes.size());
    graph_.by_id.reserve(document_.nodes.size());
    for (std::size_t i = 0; i < document_.nodes.size(); ++i) {
      DocumentNode& from = document_.nodes[i];
      Node& node = graph_.nodes[i];
      node.index = static_cast<NodeIndex>(i);
      node.id = std::move(from.id);
      node.position = source_.Locate(from.offset);
      graph_.by_id.emplace(node.id, node.index);
      SetAttributes(kNodeScope, from.attributes, Subject::Of(node), node);
      SetKind(node, from.attributes);
      SetClasses(node, from);
      node.has_label = !node.label.empty();
      if (!node.has_label) node.label = node.id;
      const auto stop = from.attributes.find("manager.stop_condition");
      if (stop != from.attributes.end()) {
        const Subject where = Subject::Of(node).At(source_.Locate(stop->second.offset));
        node.manager_stop_condition =
            ParseCondition(stop->second.text, where, StrCat("of node '", node.id, "'"));
      }
    }
    // The first of each; validation refuses a graph that does not have exactly one.
    for (const Node& node : graph_.nodes) {
      if (node.kind == NodeKind::kStart && graph_.nodes[graph_.start].kind != NodeKind::kStart)
        graph_.start = node.index;
      if (node.kind == NodeKind::kExit && graph_.nodes[graph_.exit].kind != NodeKind::kExit)
        graph_.exit = node.index;
    }
  }

  void BuildEdges() {
    graph_.edges.resize(document_.edges.size());
    for (std::size_t i = 0; i < document_.edges.size(); ++i) {
      const DocumentEdge& from = document_.edges[i];
      Edge& edge = graph_.edges[i];
      edge.index = static_cast<EdgeIndex>(i);
      edge.from = from.from;
      edge.to = from.to;
      edge.position = source_.Locate(from.offset);
      graph_.nodes[edge.from].out.push_back(edge.index);
      graph_.nodes[edge.to].in.push_back(edge.index);
      const Subject where = Subject::Of(graph_, edge);
      SetAttributes(kEdgeScope, from.attributes, where, edge);
      const auto condition = from.attributes.find("condition");
      if (condition == from.attributes.end()) continue;
      edge.condition_text = Trim(condition->second.text);
      edge.condition = ParseCondition(edge.condition_text, where.At(source_.Locate(condition->second.offset)),
                                      StrCat("on edge ", graph_.from(edge).id, " -> ", graph_.to(edge).id));
    }
  }

  void BuildGraphAttributes() {
    graph_.name = std::move(document_.name);
    SetAttributes(kGraphScope, document_.attributes, Subject::OfGraph(), graph_);
    for (const auto& [name, value] : document_.subgraph_attributes) {
      if (IsDrawingAttribute(name)) continue;
      diagnostics_.Add(Rule::kUnknownAttribute, Subject::OfGraph(source_.Locate(value.offset)),
                       StrCat("Attribute '", Excerpt(name), "' has no meaning in a subgraph"));
    }
    if (options_.goal) {
      graph_.goal = *options_.goal;
      graph_.attributes["goal"] = graph_.goal;
    } else {
      ReadFile(graph_.goal, document_.attributes, "goal", Subject::OfGraph(), "Graph goal");
      if (!graph_.goal.empty()) graph_.attributes["goal"] = graph_.goal;
    }
  }

  template <typename T>
  void SetAttributes(AttributeScope scope, const AttributeMap& attributes, const Subject& subject, T& to) {
    for (const auto& [name, value] : attributes) {
      to.attributes.emplace_hint(to.attributes.end(), name, value.text);
      // Defaults and chains bring one text to many places; what is wrong with it is said once.
      const auto is_news = [&] { return reported_.insert(value.offset).second; };
      if (!IsLanguageAttribute(scope, name)) {
        if (!IsDrawingAttribute(name) && is_news())
          ReportUnknown(scope, name, subject.At(source_.Locate(value.offset)));
        continue;
      }
      if (const auto bad = SetAttribute(to, name, value.text); bad && is_news()) {
        diagnostics_.Add(bad->rule, subject.At(source_.Locate(value.offset)),
                         StrCat(Describe(subject), ": '", name, "' has the value '", Excerpt(value.text),
                                "', expected ", bad->expected));
      }
    }
  }

  void ReportUnknown(AttributeScope scope, std::string_view name, const Subject& where) {
    std::string message;
    if (diagnostics_.Wants(Rule::kUnknownAttribute)) {
      message = StrCat(Describe(where), " has an unknown attribute '", Excerpt(name), "'");
      if (name.size() <= kLongestNameWorthGuessing) {
        if (const auto meant = NearestWord(name, AttributeNames(scope)))
          message += StrCat("; did you mean '", *meant, "'?");
      }
    }
    diagnostics_.Add(Rule::kUnknownAttribute, where, std::move(message));
  }

  // `type` is the strongest, then the ids that name a start or an exit, then the shape.
  void SetKind(Node& node, const AttributeMap& attributes) {
    node.kind = NodeKindOfShape(node.shape).value_or(NodeKind::kAgent);
    if (IsOneOf(node.id, {"start", "Start"})) node.kind = NodeKind::kStart;
    if (IsOneOf(node.id, {"exit", "Exit", "end", "End"})) node.kind = NodeKind::kExit;
    const auto type = attributes.find("type");
    if (type == attributes.end() || type->second.text.empty()) return;
    if (const auto kind = ParseNodeKind(type->second.text)) {
      node.kind = *kind;
    } else {
      diagnostics_.Add(Rule::kTypeKnown, Subject::Of(node).At(source_.Locate(type->second.offset)),
                       StrCat("Node '", node.id, "' has an unknown type '", Excerpt(type->second.text), "'"));
    }
  }

  void SetClasses(Node& node, DocumentNode& from) {
    const auto own = from.attributes.find("class");
    std::string_view rest = own == from.attributes.end() ? std::string_view() : own->second.text;
    bool fits = true;
    const auto add = [&](std::string_view name) {
      if (std::find(node.classes.begin(), node.classes.end(), name) != node.classes.end()) return;
      fits = node.classes.size() < kMaxClasses;
      if (fits) node.classes.emplace_back(name);
    };
    constexpr std::string_view kSeparators = " ,\t\n\r";
    while (fits && !rest.empty()) {
      const std::size_t end = std::min(rest.find_first_of(kSeparators), rest.size());
      if (end > 0) add(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    for (std::size_t i = 0; fits && i < from.classes.size(); ++i) add(from.classes[i]);
    if (fits) return;
    diagnostics_.Add(Rule::kAttributeType, Subject::Of(node),
                     StrCat("Node '", node.id, "' has more than ", kMaxClasses, " classes"));
  }

  // Nothing for an empty text, and after reporting one that is no condition.
  std::optional<Condition> ParseCondition(std::string_view text, const Subject& where,
                                          std::string_view owner) {
    text = Trim(text);
    // Compiling goes on while there is still something to tell, no longer.
    if (text.empty() || !diagnostics_.Wants(Rule::kConditionSyntax) || regex_cost_ > kMaxRegexCost)
      return std::nullopt;
    absl::StatusOr<Condition> condition = Condition::Parse(text);
    if (!condition.ok()) {
      diagnostics_.Add(Rule::kConditionSyntax, where,
                       StrCat("Condition '", Excerpt(text), "' ", owner,
                              " failed parse: ", MessageOf(condition.status())));
      return std::nullopt;
    }
    regex_cost_ += condition->regex_cost();
    if (regex_cost_ > kMaxRegexCost) {
      diagnostics_.Add(Rule::kConditionSyntax, where,
                       "The regular expressions of all conditions together are too large");
      return std::nullopt;
    }
    return *std::move(condition);
  }

  void ApplyStylesheet() {
    const auto written = document_.attributes.find("model_stylesheet");
    if (written == document_.attributes.end()) return;
    const Subject where = Subject::OfGraph(source_.Locate(written->second.offset));
    absl::StatusOr<Stylesheet> parsed = Stylesheet::Parse(graph_.model_stylesheet);
    if (!parsed.ok()) {
      diagnostics_.Add(Rule::kStylesheetSyntax, where,
                       StrCat("Model stylesheet parse error: ", MessageOf(parsed.status())));
      return;
    }
    stylesheet_ = *std::move(parsed);
    for (const std::string& property : stylesheet_.unknown_properties()) {
      diagnostics_.Add(Rule::kUnknownAttribute, where,
                       StrCat("Model stylesheet has an unknown property '", Excerpt(property), "'"));
    }
    for (Node& node : graph_.nodes) stylesheet_.Apply(node);
  }

  void FinishNode(Node& node) {
    if (node.model.empty()) node.model = graph_.default_model;
    if (node.provider.empty()) node.provider = graph_.default_provider;
    if (!node.prompt.empty()) {
      ReadFile(node.prompt, document_.nodes[node.index].attributes, "prompt", Subject::Of(node),
               StrCat("Node '", node.id, "'"));
    } else if (node.kind == NodeKind::kAgent || node.kind == NodeKind::kPrompt) {
      node.prompt = node.label;
    }
  }

  // Puts the file's text in the place of `@path`.
  void ReadFile(std::string& text, const AttributeMap& attributes, std::string_view attribute,
                const Subject& subject, std::string_view owner) {
    if (text.size() < 2 || text[0] != '@' || text.find('\n') != std::string::npos) return;
    const std::string path = text.substr(1);
    std::string problem;
    if (!options_.files) {
      problem = "the source has no folder";
    } else {
      absl::StatusOr<std::string> content = options_.files->Read(path);
      if (!content.ok()) {
        problem = ToValidUtf8(MessageOf(content.status()));
      } else if (content->size() > kMaxFileBytes - file_bytes_) {
        problem = StrCat("the files take more than ", kMaxFileBytes >> 20, " MiB");
      } else if (!IsValidUtf8(*content) || content->find('\0') != std::string::npos) {
        problem = "the file is not UTF-8 text";
      } else {
        file_bytes_ += content->size();
        text = *std::move(content);
        return;
      }
    }
    const auto written = attributes.find(attribute);
    const SourcePosition position =
        written == attributes.end() ? subject.position : source_.Locate(written->second.offset);
    diagnostics_.Add(Rule::kFileReference, subject.At(position),
                     StrCat(owner, " has unresolved file reference: ", Excerpt(path), " (", problem, ")"));
  }

  Document document_;
  const SourceText& source_;
  const LoadOptions& options_;
  DiagnosticList& diagnostics_;
  Graph graph_;
  Stylesheet stylesheet_;
  int regex_cost_ = 0;
  std::size_t file_bytes_ = 0;
  std::unordered_set<std::size_t> reported_;  // offsets of attributes that a diagnostic is about
};

}  // namespace

Built BuildGraph(Document document, const SourceText& source, const LoadOptions& options,
                 DiagnosticList& diagnostics) {
  return Builder(std::move(document), source, options, diagnostics).Build();
}

}  // namespace fabro::workflow
