#include "text/regex_dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace lodestone {
namespace {

// Bodies of character classes.
constexpr std::string_view kSpace = R"(\p{White_Space})";
constexpr std::string_view kNotSpace = R"(\P{White_Space})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// Outside a class, and there only, Oniguruma also counts the superscripts and fractions of Latin-1 as word characters.
constexpr std::string_view kWordAlone = R"(\p{Alphabetic}\xb2\xb3\xb9\xbc-\xbe\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kHex = R"(\p{AHex})";

// Names of POSIX classes, as Oniguruma defines them for Unicode.
struct PosixClass {
  std::string_view name, body;
};
constexpr std::array<PosixClass, 9> kPosixClasses = {{{"alpha", R"(\p{Alphabetic})"},
                                                      {"alnum", R"(\p{Alphabetic}\p{Nd})"},
                                                      {"digit", R"(\p{Nd})"},
                                                      {"lower", R"(\p{Lowercase})"},
                                                      {"punct", R"(\p{P}\p{S})"},
                                                      {"space", kSpace},
                                                      {"upper", R"(\p{Uppercase})"},
                                                      {"word", kWord},
                                                      {"xdigit", kHex}}};

// Properties with long names that are not scripts.
constexpr std::array<std::string_view, 22> kBinaryProperties = {"Any",
                                                                "Alphabetic",
                                                                "Uppercase",
                                                                "Lowercase",
                                                                "White_Space",
                                                                "ASCII",
                                                                "AHex",
                                                                "ASCII_Hex_Digit",
                                                                "Hex_Digit",
                                                                "Ideographic",
                                                                "Unified_Ideograph",
                                                                "Radical",
                                                                "Emoji",
                                                                "Emoji_Presentation",
                                                                "Emoji_Modifier",
                                                                "Emoji_Modifier_Base",
                                                                "Emoji_Component",
                                                                "Extended_Pictographic",
                                                                "Dash",
                                                                "Diacritic",
                                                                "Quotation_Mark",
                                                                "Math"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> Run() {
    while (at_ < in_.size() && !error_) {
      if (in_class_) {
        InClass();
      } else {
        Outside();
      }
    }
    if (error_) return *error_;
    return std::move(out_);
  }

 private:
  char Peek(size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void Copy(size_t count) {
    out_ += in_.substr(at_, count);
    at_ = std::min(in_.size(), at_ + count);
  }

  void Emit(size_t consumed, std::string_view text) {
    out_ += text;
    at_ += consumed;
  }

  void Refuse(std::string_view what) {
    error_ =
        Unsupported(fmt::format("{} at byte {} of the pattern means different things to different regular "
                                "expression libraries and is not supported",
                                what, at_));
  }

  void Outside() {
    const char c = Peek(0);
    if (c == '\\') return Escape();
    if (c == '[') return OpenClass();
    if (c == '{') return Interval();
    if (c == '(' && Peek(1) == '?') return Group();
    Copy(1);
  }

  void OpenClass() {
    in_class_ = true;
    Copy(1);
    if (Peek(0) == '^') Copy(1);
    if (Peek(0) == ']') Emit(1, "\\]");  // in first place it is a member
  }

  void InClass() {
    const char c = Peek(0);
    if (c == '\\') return Escape();
    if (c == ']') in_class_ = false;
    if (c == '&' && Peek(1) == '&') return Refuse("a class intersection '&&'");
    if (c == '[') {
      if (Peek(1) == ':') return Posix();
      return Refuse("an unescaped '[' within a class");
    }
    Copy(1);
  }

  void Posix() {
    for (const PosixClass& known : kPosixClasses) {
      const std::string spelling = fmt::format("[:{}:]", known.name);
      if (in_.substr(at_).starts_with(spelling)) return Emit(spelling.size(), known.body);
    }
    Refuse("this kind of '[:' within a class");
  }

  // Intervals: "{n}", "{n,}", "{n,m}", "{,m}"; anything else is plain text in both dialects.
  void Interval() {
    size_t i = 1;
    while (IsDigit(Peek(i))) ++i;
    const bool low = i > 1;
    const bool comma = Peek(i) == ',';
    if (comma) ++i;
    const size_t high_at = i;
    while (IsDigit(Peek(i))) ++i;
    const bool high = comma && i > high_at;
    if (Peek(i) != '}' || (!low && !high)) return Copy(1);
    if (Peek(i + 1) == '+') return Refuse("a '+' after an interval");
    if (!low) Emit(1, "{0");
    Copy(low ? i + 1 : i);
  }

  void Group() {
    size_t i = 2;
    bool multiline = false;
    while (std::isalpha(static_cast<unsigned char>(Peek(i))) != 0 || Peek(i) == '-') multiline |= Peek(i++) == 'm';
    const bool options = i > 2 && (Peek(i) == ')' || Peek(i) == ':');
    if (options && multiline) return Refuse("the option '(?m)'");
    Copy(options ? i : 2);
  }

  void Escape() {
    const char c = Peek(1);
    switch (c) {
      case 's':
        return Set(kSpace, false);
      case 'w':
        return Set(in_class_ ? kWord : kWordAlone, false);
      case 'h':
        return Set(kHex, false);
      case 'S':
        return Set(kNotSpace, false);
      case 'W':
      case 'H':
        if (in_class_) return Refuse(fmt::format("'\\{}' within a class", c));
        return Set(c == 'W' ? kWordAlone : kHex, true);
      case 'b':
        if (in_class_) return Copy(2);  // a backspace in both
        return Refuse("'\\b'");
      case 'B':
      case 'Q':
      case 'E':
        return Refuse(fmt::format("'\\{}'", c));
      case 'u':
        return CodePoint();
      case 'p':
      case 'P':
        return Property();
      case 'x':
      case 'k':
      case 'g':
      case 'o':
        return Braced();
      default:
        Copy(2);
    }
  }

  void Set(std::string_view body, bool negated) {
    Emit(2, in_class_ ? std::string(body) : fmt::format("[{}{}]", negated ? "^" : "", body));
  }

  void CodePoint() {
    for (size_t i = 2; i < 6; ++i) {
      if (std::isxdigit(static_cast<unsigned char>(Peek(i))) == 0) return Refuse("'\\u' without four digits");
    }
    const std::string_view digits = in_.substr(at_ + 2, 4);
    Emit(6, fmt::format("\\x{{{}}}", digits));
  }

  // "\p{Han}" means the characters of the script in Ruby, and also those that merely occur with it in PCRE2.
  void Property() {
    const size_t end = Peek(2) == '{' ? in_.find('}', at_ + 3) : std::string_view::npos;
    if (end == std::string_view::npos) return Copy(2);
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const bool script = name.size() > 2 && name.find_first_of(":=") == std::string_view::npos &&
                        std::find(kBinaryProperties.begin(), kBinaryProperties.end(), name) == kBinaryProperties.end();
    if (!script) return Copy(end + 1 - at_);
    Emit(end + 1 - at_, fmt::format("\\{}{{{}sc:{}}}", Peek(1), negated ? "^" : "", name));
  }

  // Keeps the braces of "\x{20}" away from the reader of intervals.
  void Braced() {
    const size_t end = Peek(2) == '{' ? in_.find('}', at_ + 3) : std::string_view::npos;
    Copy(end == std::string_view::npos ? 2 : end + 1 - at_);
  }

  std::string_view in_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::string> TranslatePattern(std::string_view pattern) { return Translator(pattern).Run(); }

}  // namespace lodestone
