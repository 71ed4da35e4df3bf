// JSON, as Triton writes and reads the configurations of models.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace trimaran {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  Json(std::string text) : value_(std::move(text)) {}
  Json(std::int64_t number) : value_(Number{std::to_string(number)}) {}
  Json(Array items) : value_(std::move(items)) {}
  Json(Object members) : value_(std::move(members)) {}

  // Throws a Failure where `text` is not JSON.
  static Json parse(std::string_view text);

  std::string dump() const;

  // A member of an object. What is missing, and what has another type, reads as empty or 0.
  const Json& operator[](std::string_view key) const noexcept;
  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }
  void set(std::string_view key, Json value);

  const Array& items() const noexcept;
  const std::string& text() const noexcept;
  bool truth() const noexcept;
  // Also of a number in quotes, as protobuf writes those of 64 bits.
  std::int64_t number() const noexcept;

 private:
  // As it was written, since no number here is calculated with.
  struct Number {
    std::string digits;
  };

  class Reader;

  const Json* find(std::string_view key) const noexcept;
  void write(std::string& out) const;

  std::variant<std::nullptr_t, bool, Number, std::string, Array, Object> value_;
};

}  // namespace trimaran
