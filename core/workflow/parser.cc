#include "core/workflow/parser.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/strings.h"
#include "core/workflow/attributes.h"
#include "core/workflow/characters.h"
#include "core/workflow/lexer.h"
#include "core/workflow/load.h"

namespace fabro::workflow {
namespace {

constexpr std::size_t kAttributeOverhead = 64;  // what an attribute costs beside its text, roughly

bool IsKeyword(std::string_view word) {
  constexpr std::array<std::string_view, 6> kKeywords{"digraph", "graph",    "node",
                                                      "edge",    "subgraph", "strict"};
  return std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
}

std::string Describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kEnd:
      return "the end of the text";
    case Token::Kind::kString:
      return StrCat("\"", TruncateUtf8(token.text, 40), "\"");
    default:
      return StrCat("'", TruncateUtf8(token.text, 40), "'");
  }
}

std::size_t CostOf(std::string_view name, std::string_view value) {
  return name.size() + value.size() + kAttributeOverhead;
}

// Defaults are inherited as whole maps; the cost is kept beside them because a copy is charged every time.
struct Defaults {
  AttributeMap attributes;
  std::size_t cost = 0;
};

// The graph or one subgraph that is open.
struct Scope {
  Defaults node;
  Defaults edge;
  std::string label;
  std::size_t first_mention = 0;  // in Parser::mentions_
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), next_(lexer_.Read()) {}

  ParseResult Run() {
    ParseResult result;
    if (!ParseGraph()) result.error = std::move(error_);
    result.document = std::move(document_);
    return result;
  }

 private:
  // Every Parse and Expect function returns false with error_ set, or leaves next_ at the token after what it
  // read.

  bool ParseGraph() {
    if (next_.IsWord("graph")) return Fail("only a digraph is a workflow; 'graph' is undirected");
    if (next_.IsWord("strict")) return Fail("'strict' is not supported");
    if (!next_.IsWord("digraph")) return Unexpected("'digraph'");
    Advance();
    if (!next_.Is('{')) {
      const bool is_name = next_.kind == Token::Kind::kString ||
                           (next_.kind == Token::Kind::kIdentifier && !IsKeyword(next_.text));
      if (!is_name) return Unexpected("a name or '{'");
      document_.name = next_.text;
      Advance();
    }
    if (!ExpectPunctuation('{')) return false;
    scopes_.emplace_back();
    while (!scopes_.empty()) {
      if (!ParseStatement()) return false;
    }
    if (next_.IsWord("digraph") || next_.IsWord("graph")) return Fail("a source holds one graph");
    return next_.kind == Token::Kind::kEnd || Unexpected("the end of the text");
  }

  bool ParseStatement() {
    if (next_.Is(';')) {
      Advance();
      return true;
    }
    if (next_.Is('}')) {
      Advance();
      return CloseScope();
    }
    if (next_.Is('{')) return Fail("a block needs 'subgraph' before it");
    if (next_.kind == Token::Kind::kString) return Fail("a node id is an identifier, not a string");
    if (next_.kind != Token::Kind::kIdentifier) return Unexpected("a statement or '}'");
    if (next_.IsWord("subgraph")) return OpenSubgraph();
    if (next_.IsWord("graph")) return ParseGraphAttributes();
    if (next_.IsWord("node")) return ParseDefaults(kNodeScope, &scopes_.back().node);
    if (next_.IsWord("edge")) return ParseDefaults(kEdgeScope, &scopes_.back().edge);
    if (IsKeyword(next_.text)) return Fail(StrCat(Describe(next_), " cannot stand here"));

    const Token name = std::exchange(next_, lexer_.Read());
    if (next_.Is('=')) {
      AttributeMap assigned;
      return ParseValue(kGraphScope, name.text, name.begin, &assigned) &&
             SetGraphAttributes(std::move(assigned));
    }
    return ParseNodeOrChain(name);
  }

  bool OpenSubgraph() {
    Advance();
    if (next_.kind == Token::Kind::kString ||
        (next_.kind == Token::Kind::kIdentifier && !IsKeyword(next_.text))) {
      Advance();
    }
    if (static_cast<int>(scopes_.size()) >= kMaxNesting) {
      return Fail(StrCat("blocks are nested deeper than ", kMaxNesting));
    }
    if (!ExpectPunctuation('{')) return false;
    if (!Charge(scopes_.back().node.cost + scopes_.back().edge.cost)) return false;
    Scope inner;
    inner.node = scopes_.back().node;
    inner.edge = scopes_.back().edge;
    inner.first_mention = mentions_.size();
    scopes_.push_back(std::move(inner));
    return true;
  }

  // Gives the block's label as a class to the nodes mentioned in it; they stay mentions of the block around
  // it, each once, so that the work of closing does not multiply with the depth.
  bool CloseScope() {
    const Scope scope = std::move(scopes_.back());
    scopes_.pop_back();
    if (scopes_.empty()) return true;
    const auto first = mentions_.begin() + static_cast<std::ptrdiff_t>(scope.first_mention);
    std::sort(first, mentions_.end());
    mentions_.erase(std::unique(first, mentions_.end()), mentions_.end());
    const std::string name = ClassOfLabel(scope.label);
    if (name.empty()) return true;
    for (auto mention = first; mention != mentions_.end(); ++mention) {
      if (!Charge(CostOf("", name))) return false;
      document_.nodes[*mention].classes.push_back(name);
    }
    return true;
  }

  bool ParseGraphAttributes() {
    Advance();
    AttributeMap attributes;
    return ParseAttributes(kGraphScope, &attributes) && SetGraphAttributes(std::move(attributes));
  }

  bool SetGraphAttributes(AttributeMap attributes) {
    const bool is_subgraph = scopes_.size() > 1;
    for (auto& [name, value] : attributes) {
      if (!is_subgraph) {
        document_.attributes.insert_or_assign(name, std::move(value));
      } else if (name == "label") {
        scopes_.back().label = std::move(value.text);
      } else {
        document_.subgraph_attributes.insert_or_assign(name, std::move(value));
      }
    }
    return true;
  }

  bool ParseDefaults(AttributeScope kind, Defaults* defaults) {
    Advance();
    AttributeMap attributes;
    if (!ParseAttributes(kind, &attributes)) return false;
    for (auto& [name, value] : attributes) {
      const auto known = defaults->attributes.find(name);
      if (known != defaults->attributes.end()) defaults->cost -= CostOf(name, known->second.text);
      defaults->cost += CostOf(name, value.text);
      defaults->attributes.insert_or_assign(name, std::move(value));
    }
    return true;
  }

  bool ParseNodeOrChain(const Token& first) {
    std::vector<std::pair<NodeIndex, std::size_t>> chain;  // node, where it stands
    if (!Mention(first, &chain)) return false;
    while (next_.kind == Token::Kind::kArrow) {
      Advance();
      if (next_.IsWord("subgraph") || next_.Is('{')) return Fail("an edge ends at a node, not at a block");
      if (next_.kind != Token::Kind::kIdentifier) return Unexpected("a node id");
      if (!Mention(std::exchange(next_, lexer_.Read()), &chain)) return false;
    }
    if (next_.Is(':')) return Fail("ports are not supported");
    const bool is_edge = chain.size() > 1;
    AttributeMap attributes;
    while (next_.Is('[')) {
      if (!ParseAttributes(is_edge ? kEdgeScope : kNodeScope, &attributes)) return false;
    }
    if (!is_edge) {
      AttributeMap& own = document_.nodes[chain[0].first].attributes;
      for (auto& [name, value] : attributes) own.insert_or_assign(name, std::move(value));
      return true;
    }
    return AddEdges(chain, attributes);
  }

  bool AddEdges(const std::vector<std::pair<NodeIndex, std::size_t>>& chain, const AttributeMap& attributes) {
    std::size_t cost = scopes_.back().edge.cost;
    for (const auto& [name, value] : attributes) cost += CostOf(name, value.text);
    for (std::size_t i = 1; i < chain.size(); ++i) {
      const auto& [target, offset] = chain[i];
      if (document_.edges.size() >= kMaxEdges)
        return FailAt(offset, StrCat("more than ", kMaxEdges, " edges"));
      if (!Charge(cost)) return false;
      DocumentEdge& edge = document_.edges.emplace_back();
      edge.from = chain[i - 1].first;
      edge.to = target;
      edge.offset = offset;
      edge.attributes = scopes_.back().edge.attributes;
      for (const auto& [name, value] : attributes) edge.attributes.insert_or_assign(name, value);
    }
    return true;
  }

  // The node of that id, made here with the defaults in force when this is its first mention.
  bool Mention(const Token& id, std::vector<std::pair<NodeIndex, std::size_t>>* chain) {
    if (IsKeyword(id.text)) return FailAt(id.begin, StrCat(Describe(id), " is a keyword, not a node id"));
    const auto [known, is_new] = by_id_.try_emplace(id.text, static_cast<NodeIndex>(document_.nodes.size()));
    if (is_new) {
      if (document_.nodes.size() >= kMaxNodes)
        return FailAt(id.begin, StrCat("more than ", kMaxNodes, " nodes"));
      if (!Charge(scopes_.back().node.cost)) return false;
      DocumentNode& node = document_.nodes.emplace_back();
      node.id = id.text;
      node.attributes = scopes_.back().node.attributes;
      node.offset = id.begin;
    }
    if (scopes_.size() > 1) mentions_.push_back(known->second);
    chain->emplace_back(known->second, id.begin);
    return true;
  }

  // One bracketed list, added to what is there.
  bool ParseAttributes(AttributeScope scope, AttributeMap* attributes) {
    if (!ExpectPunctuation('[')) return false;
    while (!next_.Is(']')) {
      if (next_.kind == Token::Kind::kString)
        return Fail("an attribute's name is an identifier, not a string");
      if (next_.kind != Token::Kind::kIdentifier) return Unexpected("an attribute or ']'");
      const std::size_t begin = next_.begin;
      std::string name = next_.text;
      for (Advance(); next_.Is('.'); Advance()) {
        Advance();
        if (next_.kind != Token::Kind::kIdentifier) return Unexpected("an identifier after '.'");
        name += '.';
        name += next_.text;
      }
      if (!ParseValue(scope, name, begin, attributes)) return false;
      if (next_.Is(',')) Advance();
      if (next_.Is(';')) Advance();
    }
    Advance();
    return true;
  }

  // `= value`, or nothing, which means true.
  bool ParseValue(AttributeScope scope, std::string_view name, std::size_t offset, AttributeMap* attributes) {
    AttributeValue value{.text = "true", .offset = offset};
    if (next_.Is('=')) {
      Token token = lexer_.ReadValue();
      if (token.kind == Token::Kind::kBad) {
        next_ = std::move(token);
        return Fail(next_.text);
      }
      value.text = std::move(token.text);
      Advance();
    }
    attributes->insert_or_assign(std::string(CanonicalName(scope, name)), std::move(value));
    return true;
  }

  bool Charge(std::size_t bytes) {
    charged_ += bytes;
    if (charged_ <= kMaxAttributeBytes) return true;
    return Fail(
        StrCat("defaults and chains copy more than ", kMaxAttributeBytes >> 20, " MiB of attributes"));
  }

  bool ExpectPunctuation(char c) {
    if (!next_.Is(c)) return Unexpected(StrCat("'", c, "'"));
    Advance();
    return true;
  }

  void Advance() { next_ = lexer_.Read(); }

  bool Unexpected(std::string_view expected) {
    if (next_.kind == Token::Kind::kBad) return Fail(next_.text);
    return Fail(StrCat("expected ", expected, " but found ", Describe(next_)));
  }
  bool Fail(std::string message) { return FailAt(next_.begin, std::move(message)); }
  bool FailAt(std::size_t offset, std::string message) {
    error_ = SyntaxError{std::move(message), offset};
    return false;
  }

  Lexer lexer_;
  Token next_;
  Document document_;
  std::unordered_map<std::string, NodeIndex> by_id_;
  std::vector<Scope> scopes_;        // innermost last
  std::vector<NodeIndex> mentions_;  // nodes named in the subgraphs that are open, outermost first
  std::size_t charged_ = 0;
  std::optional<SyntaxError> error_;
};

}  // namespace

ParseResult ParseDocument(std::string_view text) { return Parser(text).Run(); }

std::string ClassOfLabel(std::string_view label) {
  std::string name;
  for (const char c : ToLower(Trim(label))) {
    if (IsBlank(c)) {
      name += '-';
    } else if (IsLetter(c) || IsDigit(c) || c == '-') {
      name += c;
    }
  }
  return name;
}

}  // namespace fabro::workflow
