// A demangled name is read from left to right, with one rule for each kind of bracket:
//
//   text       is collected; a space outside brackets ends a return type (or "virtual thunk to"),
//   so what was
//              collected is thrown away
//   <...>      template arguments: dropped. At the start of a component it is Rust's "<T as
//   Trait>::f": kept
//   (...)      parameters: the end of the name, unless "::" follows (then the name of a local
//   entity goes on).
//              "(anonymous namespace)" is a component, "(*" starts a function that returns a
//              function pointer, "decltype (...)" is a return type, and after a dot it is Go's
//              "pkg.(*Type).Method"
//   {...}      a component made by the compiler: its kind is kept, its number and signature dropped
//   [...]      ABI tag, clone mark, Rust crate hash: dropped
//   '...'      LLVM's spelling of {lambda}
//   operator   the symbols that follow belong to the name, whatever brackets they are
//
// Rivals: demangling to a tree (libiberty keeps its tree private; LLVM's is not packaged) and
// regular expressions (cannot count brackets). What would break it: demanglers that spell the above
// in yet another way; a name is then less stable, never lost.
#include "runner/classify/normalise.h"

#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iterator>
#include <memory>

namespace crashcrawler {
namespace {

constexpr size_t kLongestInput = 16384;  // hostile symbol tables
constexpr size_t kLongestName = 1024;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$';
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The index after the bracket that closes the one at `open`; the end of the text when none does.
// Angle brackets inside parentheses may be comparisons ("(a>b)"), so a closing bracket pops to its
// own kind and '>' closes '<' only.
size_t after_brackets(std::string_view text, size_t open) {
  std::string expected;
  for (size_t i = open; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' || c == '[' || c == '{' || c == '<') {
      expected += c == '(' ? ')' : c == '[' ? ']' : c == '{' ? '}' : '>';
    } else if (c == '>' && i > 0 && text[i - 1] == '-') {
      continue;  // "->"
    } else if (c == '>' && !expected.empty() && expected.back() == '>') {
      expected.pop_back();
    } else if (c == ')' || c == ']' || c == '}') {
      const size_t match = expected.rfind(c);
      if (match == std::string::npos) {
        continue;
      }
      expected.resize(match);
    }
    if (expected.empty()) {
      return i + 1;
    }
  }
  return text.size();
}

// The symbol after "operator" at the start of `rest`: "()", "<<=", " new[]", "\"\" _km"; 0 for a
// conversion.
size_t operator_symbol(std::string_view rest) {
  static constexpr std::string_view kSymbols[] = {
      " new[]", " delete[]", " new", " delete", " co_await", "()", "[]", "<=>", "<<=",
      ">>=",    "->*",       "<<",   ">>",      "<=",        ">=", "==", "!=",  "&&",
      "||",     "++",        "--",   "->",      "+=",        "-=", "*=", "/=",  "%=",
      "^=",     "&=",        "|=",   "<",       ">",         "+",  "-",  "*",   "/",
      "%",      "^",         "&",    "|",       "~",         "!",  "=",  ",",   "?:"};
  for (const std::string_view symbol : kSymbols) {
    if (rest.starts_with(symbol)) {
      return symbol.size();
    }
  }
  return 0;
}

std::string without_angle_brackets(std::string_view text) {
  std::string kept;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '<') {
      i = after_brackets(text, i);
    } else {
      kept += text[i++];
    }
  }
  return kept;
}

class NameReader {
 public:
  explicit NameReader(std::string_view name) : name_(name) {}

  std::string read() {
    while (at_ < name_.size() && !ended_) {
      step();
    }
    return std::move(out_);
  }

 private:
  bool at_component_start() const { return out_.empty() || out_.ends_with("::"); }
  std::string_view rest() const { return name_.substr(at_); }

  void step() {
    const char c = name_[at_];
    const bool word_starts = at_ == 0 || !is_word(name_[at_ - 1]);
    if (word_starts && rest().starts_with("operator") &&
        (rest().size() == 8 || !is_word(rest()[8]))) {
      read_operator();
    } else if (c == '<') {
      const size_t end = after_brackets(name_, at_);
      if (at_component_start()) {
        out_ += name_.substr(at_, end - at_);
      }
      at_ = end;
    } else if (c == '(') {
      read_parenthesis();
    } else if (c == '{') {
      read_braces();
    } else if (c == '[') {
      ended_ = rest().starts_with("[clone ");
      at_ = after_brackets(name_, at_);
    } else if (c == '\'') {
      read_quoted();
    } else if (c == ' ') {
      if (!rest().starts_with(" [clone ")) {
        out_.clear();
      }
      ++at_;
    } else {
      out_ += c;
      ++at_;
    }
  }

  void read_operator() {
    out_ += "operator";
    at_ += std::string_view("operator").size();
    if (const size_t length = operator_symbol(rest())) {
      out_ += rest().substr(0, length);
      at_ += length;
      at_ += rest().starts_with(" <") ? 1 : 0;  // "operator<< <char>"
      return;
    }
    // a literal operator or a conversion: all up to the parameters
    size_t end = at_;
    while (end < name_.size() && name_[end] != '(') {
      end = name_[end] == '<' ? after_brackets(name_, end) : end + 1;
    }
    out_ += without_angle_brackets(name_.substr(at_, end - at_));
    at_ = end;
  }

  void read_parenthesis() {
    if (rest().starts_with("(anonymous")) {  // namespace, class; only in DWARF names
      out_ += "(anonymous)";
      at_ = after_brackets(name_, at_);
      return;
    }
    if (out_.empty() && (rest().starts_with("(*") || rest().starts_with("(&"))) {
      at_ += 2;
      return;
    }
    const size_t end = after_brackets(name_, at_);
    if (!out_.empty() && out_.back() == '.') {
      out_ += name_.substr(at_, end - at_);
      at_ = end;
      return;
    }
    if (out_.empty() || out_.ends_with("decltype")) {
      out_.clear();
      at_ = end;
      return;
    }
    // "f(int) const::{lambda()#1}": qualifiers may stand between the parameters and the local name
    const size_t colons = name_.find("::", end);
    static constexpr std::string_view kQualifiers = " constvolatile&noexcept";
    if (colons != std::string_view::npos &&
        name_.substr(end, colons - end).find_first_not_of(kQualifiers) == std::string_view::npos) {
      at_ = colons;
      return;
    }
    ended_ = true;
  }

  void read_braces() {
    const size_t end = after_brackets(name_, at_);
    std::string_view kind = name_.substr(at_ + 1, end - at_ - 1);
    while (!kind.empty() && (kind[0] == '{' || kind.back() == '}')) {  // Rust: {{closure}}
      kind = kind[0] == '{' ? kind.substr(1) : kind.substr(0, kind.size() - 1);
    }
    kind = kind.substr(0, kind.find_first_of("(#<"));
    while (!kind.empty() && kind.back() == ' ') {
      kind.remove_suffix(1);
    }
    out_ += kind == "anonymous" ? "(anonymous)" : "{" + std::string(kind) + "}";
    at_ = end;
  }

  void read_quoted() {
    const size_t end = name_.find('\'', at_ + 1);
    if (end == std::string_view::npos) {
      out_ += name_[at_++];
      return;
    }
    std::string_view kind = name_.substr(at_ + 1, end - at_ - 1);
    while (!kind.empty() && std::isdigit(static_cast<unsigned char>(kind.back()))) {
      kind.remove_suffix(1);
    }
    out_ += "{" + std::string(kind) + "}";
    at_ = end + 1;
  }

  std::string_view name_;
  std::string out_;
  size_t at_ = 0;
  bool ended_ = false;
};

// foo.constprop.0, foo.isra.0.cold, foo.llvm.123, foo@plt, foo@@VERS_1: one function, cut or
// specialised by the compiler (GCC clone_function_name, LLVM ThinLTO promotion).
std::string_view without_clone_suffixes(std::string_view name) {
  static constexpr std::string_view kMarks[] = {
      "constprop", "isra",   "part",      "cold",  "lto_priv", "llvm",   "localalias",
      "clone",     "__uniq", "simdclone", "actor", "destroy",  "cleanup"};
  if (const size_t version = name.find('@'); version != std::string_view::npos && version > 0) {
    name = name.substr(0, version);
  }
  for (;;) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) {
      return name;
    }
    const std::string_view word = name.substr(dot + 1);
    if (!is_digits(word) &&
        std::find(std::begin(kMarks), std::end(kMarks), word) == std::end(kMarks)) {
      return name;
    }
    name = name.substr(0, dot);
  }
}

std::string demangled(std::string_view name) {
  if (!name.starts_with("_Z")) {
    return std::string(name);
  }
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(std::string(name).c_str(), nullptr, nullptr, &status), &std::free);
  return text ? std::string(text.get()) : std::string(name);
}

// glibc's internal aliases: __GI_raise is raise.
void drop_alias_prefix(std::string& name) {
  static constexpr std::string_view kInternal = "__GI_";
  if (name.starts_with(kInternal) && name.size() > kInternal.size()) {
    name.erase(0, kInternal.size());
  }
}

void replace_component(std::string& name, std::string_view from, std::string_view to) {
  for (size_t at = name.find(from); at != std::string::npos; at = name.find(from, at + to.size())) {
    const bool starts = at == 0 || !is_word(name[at - 1]);
    const size_t end = at + from.size();
    if (starts && (end == name.size() || !is_word(name[end]))) {
      name.replace(at, from.size(), to);
    }
  }
}

// Clang names closures "$_0", "$_1" ... in the order of the file.
void rename_clang_closures(std::string& name) {
  for (size_t at = name.find("$_"); at != std::string::npos; at = name.find("$_", at + 1)) {
    size_t end = at + 2;
    while (end < name.size() && std::isdigit(static_cast<unsigned char>(name[end]))) {
      ++end;
    }
    if (end > at + 2) {
      name.replace(at, end - at, "{lambda}");
    }
  }
}

// Rust's older mangling ends every path in "::h" and 16 hex digits that hash the build.
void drop_rust_hash(std::string& name) {
  const size_t at = name.rfind("::h");
  if (at != std::string::npos && name.size() == at + 19 &&
      name.find_first_not_of("0123456789abcdef", at + 3) == std::string::npos) {
    name.resize(at);
  }
}

}  // namespace

std::string normalise_function(std::string_view name) {
  const std::string whole = demangled(name.substr(0, kLongestInput));
  std::string normalised = NameReader(without_clone_suffixes(whole)).read();
  normalised = without_clone_suffixes(normalised);
  replace_component(normalised, "_GLOBAL__N_1", "(anonymous)");
  rename_clang_closures(normalised);
  drop_rust_hash(normalised);
  drop_alias_prefix(normalised);
  if (normalised.empty()) {
    normalised = whole;
  }
  if (normalised.size() > kLongestName) {
    normalised.resize(kLongestName);
  }
  return normalised;
}

std::string normalise_module(std::string_view path) {
  static constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) {
    path.remove_suffix(kDeleted.size());
  }
  std::string_view base = path.substr(path.rfind('/') + 1);
  std::string_view extension;
  const size_t so = base.find(".so");
  if (so != std::string_view::npos && (so + 3 == base.size() || base[so + 3] == '.')) {
    extension = ".so";
    base = base.substr(0, so);
    // "libc-2.31" -> "libc", but "libfoo-gtk2" stays
    const size_t dash = base.rfind('-');
    if (dash != std::string_view::npos && dash + 1 < base.size() &&
        base.find_first_not_of("0123456789.", dash + 1) == std::string_view::npos) {
      base = base.substr(0, dash);
    }
  }
  return std::string(base) + std::string(extension);
}

}  // namespace crashcrawler
