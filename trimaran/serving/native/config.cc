#include "config.h"

#include <sched.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "errors.h"

namespace trimaran {

namespace {

Shape shape_of(const Json& list) {
  Shape shape;
  for (const Json& length : list.items()) shape.push_back(length.number());
  return shape;
}

std::vector<TensorConfig> tensors_of(const Json& list) {
  std::vector<TensorConfig> tensors;
  for (const Json& item : list.items()) {
    TensorConfig tensor;
    tensor.name = item["name"].text();
    tensor.data_type = item["data_type"].text();
    tensor.dims = shape_of(item["dims"]);
    tensor.model_dims =
        item["reshape"].has("shape") ? shape_of(item["reshape"]["shape"]) : tensor.dims;
    tensor.optional = item["optional"].truth();
    tensor.ragged = item["allow_ragged_batch"].truth();
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::string stripped(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

int core_count() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

}  // namespace

ModelConfig ModelConfig::of(TRITONBACKEND_Model* model) {
  TRITONSERVER_Message* made = nullptr;
  check(TRITONBACKEND_ModelConfig(model, kConfigVersion, &made));
  const FromTriton<TRITONSERVER_Message> message(made);
  const char* text = nullptr;
  std::size_t size = 0;
  check(TRITONSERVER_MessageSerializeToJson(message.get(), &text, &size));
  return ModelConfig(Json::parse({text, size}));
}

ModelConfig::ModelConfig(Json json)
    : json_(std::move(json)),
      inputs_(tensors_of(json_["input"])),
      outputs_(tensors_of(json_["output"])) {}

std::optional<std::string> ModelConfig::parameter(const char* key) const {
  const Json& parameters = json_["parameters"];
  if (!parameters.has(key)) return std::nullopt;
  return stripped(parameters[key]["string_value"].text());
}

bool ModelConfig::boolean(const char* key, bool otherwise) const {
  const std::optional<std::string> given = parameter(key);
  if (!given) return otherwise;
  std::string lower = *given;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  if (lower == "true" || lower == "on" || lower == "1") return true;
  if (lower == "false" || lower == "off" || lower == "0") return false;
  throw Failure(
      "failed to convert '" + *given + "' to boolean: parameter '" + key +
      "' must be 'true' or 'false'");
}

int ModelConfig::integer(const char* key, int otherwise) const {
  const std::optional<std::string> given = parameter(key);
  if (!given) return otherwise;
  const char* end = given->data() + given->size();
  const char* begin = given->data() + (given->size() > 1 && given->front() == '+' ? 1 : 0);
  int found = 0;
  const auto [read, error] = std::from_chars(begin, end, found);
  if (error != std::errc() || read != end) {
    throw Failure(
        "failed to convert '" + *given + "' to integral number: parameter '" + key +
        "' must be an integer");
  }
  return found;
}

int ModelConfig::intra_op_threads() const {
  const int given = integer("intra_op_thread_count", 0);
  if (given > 0) return given;
  std::int64_t instances = 0;
  for (const Json& group : json_["instance_group"].items()) {
    instances += std::max<std::int64_t>(1, group["count"].number());
  }
  return static_cast<int>(
      std::max<std::int64_t>(1, core_count() / std::max<std::int64_t>(1, instances)));
}

int ModelConfig::inter_op_threads() const {
  return std::max(0, integer("inter_op_thread_count", 0));
}

}  // namespace trimaran
