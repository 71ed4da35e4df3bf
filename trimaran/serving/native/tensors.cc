#include "tensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "errors.h"

namespace trimaran {

namespace {

constexpr std::array<ElementType, 14> kElementTypes = {{
    {"TYPE_FP32", DataType::fp32, 1, 4},
    {"TYPE_UINT8", DataType::uint8, 2, 1},
    {"TYPE_INT8", DataType::int8, 3, 1},
    {"TYPE_UINT16", DataType::uint16, 4, 2},
    {"TYPE_INT16", DataType::int16, 5, 2},
    {"TYPE_INT32", DataType::int32, 6, 4},
    {"TYPE_INT64", DataType::int64, 7, 8},
    {"TYPE_STRING", DataType::bytes, 8, 0},
    {"TYPE_BOOL", DataType::boolean, 9, 1},
    {"TYPE_FP16", DataType::fp16, 10, 2},
    {"TYPE_FP64", DataType::fp64, 11, 8},
    {"TYPE_UINT32", DataType::uint32, 12, 4},
    {"TYPE_UINT64", DataType::uint64, 13, 8},
    {"TYPE_BF16", DataType::bf16, 16, 2},
}};

// Each text travels as its length, four bytes of it, and its bytes. Like all of Triton's binary
// data, the length is in the order of the machine, which is little-endian.
using TextLength = std::uint32_t;
constexpr std::size_t kLengthSize = sizeof(TextLength);

std::string_view buffer_of(TRITONBACKEND_Input* input, std::uint32_t index) {
  const void* data = nullptr;
  std::uint64_t size = 0;
  MemoryType memory = MemoryType::cpu;
  std::int64_t device = 0;
  check(TRITONBACKEND_InputBuffer(input, index, &data, &size, &memory, &device));
  if (memory == MemoryType::gpu) {
    throw Failure("is in the memory of a GPU, and this backend runs on the CPU");
  }
  return {static_cast<const char*>(data), size};
}

void gather(TRITONBACKEND_Input* source, std::uint32_t buffers, std::size_t size, Input& input) {
  if (buffers == 1) {
    input.bytes = buffer_of(source, 0);
  } else if (buffers > 1) {
    input.gathered.reset(new char[size]);
    std::size_t filled = 0;
    for (std::uint32_t index = 0; index < buffers; ++index) {
      const std::string_view part = buffer_of(source, index);
      if (part.size() > size - filled) throw Failure("has more bytes than it says");
      if (!part.empty()) std::memcpy(input.gathered.get() + filled, part.data(), part.size());
      filled += part.size();
    }
    input.bytes = {input.gathered.get(), filled};
  }
}

void split_texts(Input& input) {
  std::string_view rest = input.bytes;
  // Before memory is set aside for as many texts as the shape says.
  if (input.count > rest.size() / kLengthSize) throw Failure("has fewer texts than its shape");
  input.texts.reserve(input.count);
  while (!rest.empty()) {
    TextLength length = 0;
    if (rest.size() < kLengthSize) throw Failure("ends within the length of a text");
    std::memcpy(&length, rest.data(), kLengthSize);
    rest.remove_prefix(kLengthSize);
    if (length > rest.size()) throw Failure("ends within a text");
    if (input.texts.size() == input.count) throw Failure("has more texts than its shape");
    input.texts.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  if (input.texts.size() != input.count) throw Failure("has fewer texts than its shape");
}

// Any byte but 0 is true for Triton, and 1 alone for ONNX Runtime's code.
void normalize_booleans(Input& input) {
  const auto is_odd = [](char c) { return c != 0 && c != 1; };
  if (std::none_of(input.bytes.begin(), input.bytes.end(), is_odd)) return;
  std::unique_ptr<char[]> truths(new char[input.bytes.size()]);
  std::transform(input.bytes.begin(), input.bytes.end(), truths.get(), [](char c) {
    return static_cast<char>(c != 0);
  });
  input.bytes = {truths.get(), input.bytes.size()};
  input.gathered = std::move(truths);
}

bool is_aligned(const char* data, std::size_t size) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) % size == 0;
}

}  // namespace

const ElementType* element_type(int onnx) noexcept {
  for (const ElementType& type : kElementTypes) {
    if (type.onnx == onnx) return &type;
  }
  return nullptr;
}

const ElementType* element_type(DataType triton) noexcept {
  for (const ElementType& type : kElementTypes) {
    if (type.triton == triton) return &type;
  }
  return nullptr;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t length : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(length);
  }
  return text + ']';
}

std::size_t product(std::size_t one, std::size_t other) {
  constexpr std::size_t kMost = std::numeric_limits<std::ptrdiff_t>::max();
  std::size_t found = 0;
  if (__builtin_mul_overflow(one, other, &found) || found > kMost) {
    throw Failure("a tensor is larger than any memory", ErrorCode::invalid_arg);
  }
  return found;
}

std::size_t element_count(const Shape& shape, std::size_t first) {
  std::size_t count = 1;
  bool empty = false;
  for (std::size_t axis = first; axis < shape.size(); ++axis) {
    if (shape[axis] < 0) {
      throw Failure("a tensor has the shape " + to_string(shape), ErrorCode::invalid_arg);
    }
    // An axis of length 0 does not hide that the others are too long.
    empty = empty || shape[axis] == 0;
    if (shape[axis] > 0) count = product(count, static_cast<std::size_t>(shape[axis]));
  }
  return empty ? 0 : count;
}

Input read_input(TRITONBACKEND_Input* source) {
  const char* name = nullptr;
  DataType data_type = DataType::invalid;
  const std::int64_t* dims = nullptr;
  std::uint32_t rank = 0;
  std::uint64_t size = 0;
  std::uint32_t buffers = 0;
  check(TRITONBACKEND_InputProperties(source, &name, &data_type, &dims, &rank, &size, &buffers));
  try {
    Input input;
    input.type = element_type(data_type);
    if (input.type == nullptr) throw Failure("has a type that ONNX Runtime has not");
    input.shape.assign(dims, dims + rank);
    input.count = element_count(input.shape);
    gather(source, buffers, size, input);
    if (input.type->is_text()) {
      split_texts(input);
    } else if (const std::size_t wanted = product(input.count, input.type->size);
               input.bytes.size() != wanted) {
      throw Failure(
          "has " + std::to_string(input.bytes.size()) + " bytes, and its shape " +
          to_string(input.shape) + " needs " + std::to_string(wanted));
    }
    if (data_type == DataType::boolean) normalize_booleans(input);
    return input;
  } catch (const Failure& failure) {
    throw Failure("input '" + std::string(name) + "' " + failure.what(), ErrorCode::invalid_arg);
  }
}

Feed::Feed(const std::vector<const Input*>& parts, bool scalar) {
  Shape shape = parts.front()->shape;
  std::size_t count = parts.front()->count;
  for (std::size_t index = 1; index < parts.size(); ++index) {
    if (__builtin_add_overflow(shape.front(), parts[index]->shape.front(), &shape.front())) {
      throw Failure("a batch is larger than any memory", ErrorCode::invalid_arg);
    }
    count += parts[index]->count;
  }
  if (scalar) shape.clear();
  if (element_count(shape) != count) throw Failure("a scalar needs one value");
  if (parts.front()->type->is_text()) {
    join_texts(parts, shape);
  } else {
    join_numbers(parts, shape, count);
  }
}

void Feed::join_numbers(
    const std::vector<const Input*>& parts, const Shape& shape, std::size_t count) {
  static const FromOrt<OrtMemoryInfo> cpu =
      made<OrtMemoryInfo>([](auto** place) { return ort().CreateCpuMemoryInfo(0, 0, place); });
  const ElementType& type = *parts.front()->type;
  const std::size_t size = product(count, type.size);
  const char* data = parts.front()->bytes.data();
  if (parts.size() > 1 || data == nullptr || !is_aligned(data, type.size)) {
    joined_.reset(new char[size]);
    char* end = joined_.get();
    for (const Input* part : parts) {
      if (!part->bytes.empty()) std::memcpy(end, part->bytes.data(), part->bytes.size());
      end += part->bytes.size();
    }
    data = joined_.get();
  }
  // ONNX Runtime does not write to the inputs of a run.
  void* input = const_cast<char*>(data);
  value_ = made<OrtValue>([&](auto** place) {
    return ort().CreateTensorWithDataAsOrtValue(
        cpu.get(), input, size, shape.data(), shape.size(), type.onnx, place);
  });
}

void Feed::join_texts(const std::vector<const Input*>& parts, const Shape& shape) {
  const int type = parts.front()->type->onnx;
  value_ = made<OrtValue>([&](auto** place) {
    return ort().CreateTensorAsOrtValue(default_allocator(), shape.data(), shape.size(), type, place);
  });
  std::size_t index = 0;
  for (const Input* part : parts) {
    for (const std::string_view text : part->texts) {
      char* buffer = nullptr;
      check(ort().GetResizedStringTensorElementBuffer(value_.get(), index, text.size(), &buffer));
      if (!text.empty()) std::memcpy(buffer, text.data(), text.size());
      ++index;
    }
  }
}

Output::Output(FromOrt<OrtValue> value, const std::string& name) : value_(std::move(value)) {
  int present = 0;
  int tensor = 0;
  if (value_ != nullptr) check(ort().HasValue(value_.get(), &present));
  if (present != 0) check(ort().IsTensor(value_.get(), &tensor));
  if (tensor == 0) throw Failure("output '" + name + "' is no tensor");
  const auto info = made<OrtTensorTypeAndShapeInfo>(
      [&](auto** place) { return ort().GetTensorTypeAndShape(value_.get(), place); });
  int onnx = 0;
  std::size_t rank = 0;
  check(ort().GetTensorElementType(info.get(), &onnx));
  check(ort().GetDimensionsCount(info.get(), &rank));
  type_ = element_type(onnx);
  if (type_ == nullptr) throw Failure("output '" + name + "' has a type that Triton has not");
  shape_.resize(rank);
  check(ort().GetDimensions(info.get(), shape_.data(), rank));
  if (!type_->is_text()) {
    void* data = nullptr;
    check(ort().GetTensorMutableData(value_.get(), &data));
    data_ = static_cast<const char*>(data);
    return;
  }
  const std::size_t count = element_count(shape_);
  std::size_t size = 0;
  check(ort().GetStringTensorDataLength(value_.get(), &size));
  texts_.reset(new char[size]);
  offsets_.resize(count);
  check(ort().GetStringTensorContent(value_.get(), texts_.get(), size, offsets_.data(), count));
  offsets_.push_back(size);
}

std::size_t Output::byte_size(std::size_t first, std::size_t count) const {
  if (!type_->is_text()) return product(count, type_->size);
  for (std::size_t index = first; index < first + count; ++index) {
    if (offsets_[index + 1] - offsets_[index] > std::numeric_limits<TextLength>::max()) {
      throw Failure("a text of an output is longer than 4 GB");
    }
  }
  return product(count, kLengthSize) + offsets_[first + count] - offsets_[first];
}

void Output::write(std::size_t first, std::size_t count, char* to) const noexcept {
  if (!type_->is_text()) {
    if (count > 0) std::memcpy(to, data_ + first * type_->size, count * type_->size);
    return;
  }
  for (std::size_t index = first; index < first + count; ++index) {
    const auto length = static_cast<TextLength>(offsets_[index + 1] - offsets_[index]);
    std::memcpy(to, &length, kLengthSize);
    if (length > 0) std::memcpy(to + kLengthSize, texts_.get() + offsets_[index], length);
    to += kLengthSize + length;
  }
}

}  // namespace trimaran
