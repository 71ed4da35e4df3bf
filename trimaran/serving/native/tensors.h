// Tensors: element types, shapes, a request's inputs, and the outputs of a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "onnx_runtime.h"
#include "triton_api.h"

namespace trimaran {

struct ElementType {
  std::string_view config;  // as a configuration names it
  DataType triton;
  int onnx;
  std::size_t size;  // in bytes; 0 for text

  bool is_text() const noexcept { return size == 0; }
};

// The type of ONNX Runtime's number, or nullptr for one that Triton has not.
const ElementType* element_type(int onnx) noexcept;
const ElementType* element_type(DataType triton) noexcept;

using Shape = std::vector<std::int64_t>;

std::string to_string(const Shape& shape);  // [-1,4]

// Throws a Failure where the product is beyond what memory can hold.
std::size_t product(std::size_t one, std::size_t other);
// The elements of a shape from axis `first` on. Throws a Failure for a negative length, too.
std::size_t element_count(const Shape& shape, std::size_t first = 0);

// An input of one request, in the request's own memory where it lies there in one piece.
struct Input {
  const ElementType* type = nullptr;
  Shape shape;
  std::size_t count = 0;
  std::string_view bytes;
  std::vector<std::string_view> texts;  // of an input of texts
  std::unique_ptr<char[]> gathered;
};

// Reads an input and checks its bytes against its shape. Throws a Failure.
Input read_input(TRITONBACKEND_Input* input);

// Inputs of several requests, joined along the first axis, as ONNX Runtime takes them. The value
// may lie in memory of the requests.
class Feed {
 public:
  // `parts` are not empty, and differ in the length of their first axis at most. A scalar of the
  // model is fed without axes.
  Feed(const std::vector<const Input*>& parts, bool scalar);

  const OrtValue* value() const noexcept { return value_.get(); }

 private:
  void join_numbers(const std::vector<const Input*>& parts, const Shape& shape, std::size_t count);
  void join_texts(const std::vector<const Input*>& parts, const Shape& shape);

  std::unique_ptr<char[]> joined_;
  FromOrt<OrtValue> value_;
};

// An output of a run.
class Output {
 public:
  // Throws a Failure where it is not a tensor of a type that Triton has.
  Output(FromOrt<OrtValue> value, const std::string& name);

  const ElementType& type() const noexcept { return *type_; }
  const Shape& shape() const noexcept { return shape_; }

  // The bytes of elements as Triton sends them: their number, and the bytes themselves.
  std::size_t byte_size(std::size_t first, std::size_t count) const;
  void write(std::size_t first, std::size_t count, char* to) const noexcept;

 private:
  FromOrt<OrtValue> value_;
  const ElementType* type_ = nullptr;
  Shape shape_;
  const char* data_ = nullptr;  // of numbers
  std::unique_ptr<char[]> texts_;
  std::vector<std::size_t> offsets_;  // of each text, and the end of the last
};

}  // namespace trimaran
