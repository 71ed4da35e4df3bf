#include "model.h"

#include <algorithm>
#include <utility>

#include "errors.h"

namespace trimaran {

namespace {

std::string version_directory(TRITONBACKEND_Model* model) {
  int kind = 0;
  const char* path = nullptr;
  std::uint64_t version = 0;
  check(TRITONBACKEND_ModelRepository(model, &kind, &path));
  check(TRITONBACKEND_ModelVersion(model, &version));
  return std::string(path) + "/" + std::to_string(version);
}

void set_config(TRITONBACKEND_Model* model, const Json& json) {
  const std::string text = json.dump();
  TRITONSERVER_Message* made = nullptr;
  check(TRITONSERVER_MessageNewFromSerializedJson(&made, text.data(), text.size()));
  const FromTriton<TRITONSERVER_Message> message(made);
  check(TRITONBACKEND_ModelSetConfig(model, kConfigVersion, message.get()));
}

// The configured shape of a scalar, whose lengths are all 1, or left open.
Shape scalar_shape(Shape dims) {
  std::replace(dims.begin(), dims.end(), std::int64_t{-1}, std::int64_t{1});
  return dims;
}

}  // namespace

Model::Model(TRITONBACKEND_Model* model, const OrtEnv* env, std::int64_t default_batch_size)
    : model_(model), env_(env), directory_(version_directory(model)) {
  ModelConfig config = ModelConfig::of(model);
  require_served(config);
  first_ = std::make_shared<Session>(env, config, directory_);
  const Interface interface = first_->interface();
  bool completes = false;
  check(TRITONBACKEND_ModelAutoCompleteConfig(model, &completes));
  if (completes) {
    if (const auto json = completed(config, interface, default_batch_size)) {
      set_config(model, *json);
      config = ModelConfig::of(model);
    }
  }
  require_match(config, interface);
  batches_ = config.batches();
  shares_session_ = config.boolean("share_session_between_instances", false);
  for (const TensorConfig& input : config.inputs()) {
    inputs_.push_back(
        {input.name, interface.input(input.name)->shape.empty(), input.optional});
  }
  for (const TensorConfig& output : config.outputs()) {
    outputs_.push_back({output.name, scalar_shape(output.dims)});
  }
}

Model::Lease Model::session() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (shares_session_) return {first_, !std::exchange(leased_, true)};
    if (first_ != nullptr) return {std::move(first_)};
  }
  // Read anew: Triton may have changed the number of instances since the model was loaded.
  return {std::make_shared<Session>(env_, ModelConfig::of(model_), directory_)};
}

std::size_t Model::output(const std::string& name) const {
  const auto found = std::find_if(outputs_.begin(), outputs_.end(), [&](const ModelOutput& output) {
    return output.name == name;
  });
  if (found == outputs_.end()) throw Failure("there is no output '" + name + "'");
  return static_cast<std::size_t>(found - outputs_.begin());
}

}  // namespace trimaran
