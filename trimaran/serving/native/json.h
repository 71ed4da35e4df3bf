// JSON, as Triton writes and reads the configurations of models.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trimaran {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  Json(std::string text) : kind_(Kind::text), text_(std::move(text)) {}
  Json(std::int64_t number) : text_(std::to_string(number)) {}
  Json(Array items) : kind_(Kind::array), items_(std::move(items)) {}
  Json(Object members) : kind_(Kind::object), members_(std::move(members)) {}

  // Throws a Failure where `text` is not JSON.
  static Json parse(std::string_view text);

  std::string dump() const;

  // A member of an object. What is missing, and what is of another kind, reads as empty or 0.
  const Json& operator[](std::string_view key) const noexcept;
  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }
  void set(std::string_view key, Json value);

  const Array& items() const noexcept { return items_; }
  const std::string& text() const noexcept;
  bool truth() const noexcept { return kind_ == Kind::literal && text_ == "true"; }
  // Also of a number in quotes, as protobuf writes those of 64 bits.
  std::int64_t number() const noexcept;

 private:
  // A literal is null, a truth value or a number. It stays as it was written, since no number here
  // is calculated with.
  enum class Kind { literal, text, array, object };

  class Reader;

  const Json* find(std::string_view key) const noexcept;
  void write(std::string& out) const;

  Kind kind_ = Kind::literal;
  std::string text_ = "null";
  Array items_;
  Object members_;
};

}  // namespace trimaran
