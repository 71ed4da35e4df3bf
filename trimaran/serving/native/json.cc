#include "json.h"

#include <algorithm>
#include <charconv>

#include "errors.h"

namespace trimaran {

namespace {

constexpr int kDeepest = 100;
constexpr std::uint32_t kSurrogates = 0xD800;
constexpr std::uint32_t kLowSurrogates = 0xDC00;
constexpr std::uint32_t kSurrogatesEnd = 0xE000;

constexpr std::string_view kLiterals = "+-.0123456789Eaeflnrstu";

const Json kNothing;
const std::string kNoText;

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

void write_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (code < 0x20) {
      out += {'\\', 'u', '0', '0', kHex[code >> 4], kHex[code & 15]};
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

class Json::Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  Json document() {
    Json found = value(0);
    skip_space();
    if (!rest_.empty()) fail();
    return found;
  }

 private:
  [[noreturn]] static void fail() { throw Failure("a configuration is not JSON"); }

  Json value(int depth) {
    if (depth > kDeepest) fail();
    skip_space();
    if (take('{')) return members(depth);
    if (take('[')) return list(depth);
    if (!rest_.empty() && rest_.front() == '"') return text();
    Json found;
    found.text_ = rest_.substr(0, rest_.find_first_not_of(kLiterals));
    if (found.text_.empty()) fail();
    rest_.remove_prefix(found.text_.size());
    return found;
  }

  Object members(int depth) {
    Object found;
    skip_space();
    if (take('}')) return found;
    do {
      skip_space();
      std::string key = text();
      skip_space();
      if (!take(':')) fail();
      found.emplace_back(std::move(key), value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) fail();
    return found;
  }

  Array list(int depth) {
    Array found;
    skip_space();
    if (take(']')) return found;
    do {
      found.push_back(value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) fail();
    return found;
  }

  std::string text() {
    if (!take('"')) fail();
    std::string found;
    while (!take('"')) {
      const char c = next();
      if (c == '\\') {
        append_escaped(found);
      } else {
        found += c;
      }
    }
    return found;
  }

  void append_escaped(std::string& found) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    const char letter = next();
    if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
      found += kMeant[known];
      return;
    }
    if (letter != 'u') fail();
    std::uint32_t code = hexadecimal();
    if (code >= kSurrogates && code < kLowSurrogates && take("\\u")) {
      const std::uint32_t low = hexadecimal();
      if (low < kLowSurrogates || low >= kSurrogatesEnd) fail();
      code = 0x10000 + ((code - kSurrogates) << 10) + (low - kLowSurrogates);
    }
    append_utf8(found, code);
  }

  std::uint32_t hexadecimal() {
    std::uint32_t code = 0;
    if (rest_.size() < 4) fail();
    const char* end = rest_.data() + 4;
    if (std::from_chars(rest_.data(), end, code, 16).ptr != end) fail();
    rest_.remove_prefix(4);
    return code;
  }

  void skip_space() {
    const std::size_t size = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(size, rest_.size()));
  }

  char next() {
    if (rest_.empty()) fail();
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  bool take(char wanted) { return take(std::string_view(&wanted, 1)); }

  bool take(std::string_view wanted) {
    if (rest_.substr(0, wanted.size()) != wanted) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }

  std::string_view rest_;
};

Json Json::parse(std::string_view text) { return Reader(text).document(); }

std::string Json::dump() const {
  std::string out;
  write(out);
  return out;
}

const Json* Json::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : members_) {
    if (name == key) return &value;
  }
  return nullptr;
}

const Json& Json::operator[](std::string_view key) const noexcept {
  const Json* found = find(key);
  return found != nullptr ? *found : kNothing;
}

void Json::set(std::string_view key, Json value) {
  for (auto& [name, old] : members_) {
    if (name != key) continue;
    old = std::move(value);
    return;
  }
  members_.emplace_back(key, std::move(value));
}

const std::string& Json::text() const noexcept { return kind_ == Kind::text ? text_ : kNoText; }

std::int64_t Json::number() const noexcept {
  std::int64_t found = 0;
  std::from_chars(text_.data(), text_.data() + text_.size(), found);
  return found;
}

void Json::write(std::string& out) const {
  switch (kind_) {
    case Kind::literal:
      out += text_;
      break;
    case Kind::text:
      write_text(out, text_);
      break;
    case Kind::array:
      out += '[';
      for (const Json& item : items_) {
        if (&item != &items_.front()) out += ',';
        item.write(out);
      }
      out += ']';
      break;
    case Kind::object:
      out += '{';
      for (const auto& member : members_) {
        if (&member != &members_.front()) out += ',';
        write_text(out, member.first);
        out += ':';
        member.second.write(out);
      }
      out += '}';
      break;
  }
}

}  // namespace trimaran
