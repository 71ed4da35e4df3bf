// A model's configuration, completed from its file and compared with it when it is loaded.
//
// The words are those of NVIDIA's backend, since people search for them; what is completed follows
// its README, section "Default Max Batch Size".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config.h"

namespace trimaran {

// A tensor of the model's file: its type as configurations name it, and -1 for any length.
struct ModelTensor {
  std::string name;
  std::string data_type;
  Shape shape;
};

struct Interface {
  std::vector<ModelTensor> inputs;
  std::vector<ModelTensor> outputs;
  std::vector<ModelTensor> initializers;  // weights that an input may replace

  const ModelTensor* input(const std::string& name) const noexcept;
  bool can_batch() const noexcept;
};

// The configuration with inputs or outputs, the batch limit and dynamic batching filled in, or
// nothing where it has both inputs and outputs. Throws a Failure where it asks for batches, and the
// model cannot batch.
std::optional<Json> completed(
    const ModelConfig& config, const Interface& model, std::int64_t default_batch_size);

// Throws a Failure where a configuration asks for what this backend does not do.
void require_served(const ModelConfig& config);

// Throws a Failure where a configuration contradicts the model's file.
void require_match(const ModelConfig& config, const Interface& model);

}  // namespace trimaran
