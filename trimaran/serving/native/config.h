// A model's configuration as Triton has it, and its parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json.h"
#include "tensors.h"

namespace trimaran {

struct TensorConfig {
  std::string name;
  std::string data_type;
  Shape dims;
  Shape model_dims;  // with which the model sees it, where that differs
  bool optional = false;
  bool ragged = false;
};

class ModelConfig {
 public:
  static ModelConfig of(TRITONBACKEND_Model* model);

  const Json& json() const noexcept { return json_; }
  const std::string& name() const noexcept { return json_["name"].text(); }
  bool batches() const noexcept { return max_batch_size() > 0; }
  std::int64_t max_batch_size() const noexcept { return json_["max_batch_size"].number(); }
  const std::vector<TensorConfig>& inputs() const noexcept { return inputs_; }
  const std::vector<TensorConfig>& outputs() const noexcept { return outputs_; }

  // A parameter's text without space around it. The others throw a Failure that names a parameter
  // with another value.
  std::optional<std::string> parameter(const char* key) const;
  bool boolean(const char* key, bool otherwise) const;
  int integer(const char* key, int otherwise) const;

  // Threads for one instance: the parameter's, or the machine's cores shared among the instances.
  int intra_op_threads() const;
  // 0 leaves the choice to ONNX Runtime.
  int inter_op_threads() const;

 private:
  explicit ModelConfig(Json json);

  Json json_;
  std::vector<TensorConfig> inputs_;
  std::vector<TensorConfig> outputs_;
};

}  // namespace trimaran
