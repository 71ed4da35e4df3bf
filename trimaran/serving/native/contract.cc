#include "contract.h"

#include <algorithm>
#include <array>
#include <set>

#include "errors.h"

namespace trimaran {

namespace {

using Tensors = std::vector<ModelTensor>;

const ModelTensor* find(const Tensors& tensors, const std::string& name) noexcept {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const ModelTensor& tensor) {
    return tensor.name == name;
  });
  return found == tensors.end() ? nullptr : &*found;
}

Json item_of(const ModelTensor& tensor, bool batched) {
  Json::Array dims;
  for (std::size_t axis = batched ? 1 : 0; axis < tensor.shape.size(); ++axis) {
    dims.emplace_back(tensor.shape[axis]);
  }
  const bool empty = dims.empty();
  if (empty) dims.emplace_back(std::int64_t{1});
  Json::Object item = {
      {"name", tensor.name}, {"data_type", tensor.data_type}, {"dims", std::move(dims)}};
  // Triton refuses an empty reshape where there is no batch axis.
  if (empty && batched) item.emplace_back("reshape", Json::Object{{"shape", Json::Array{}}});
  return item;
}

bool fits(const Shape& model, const Shape& configured, bool exact) {
  return model.size() == configured.size() &&
         std::equal(
             model.begin(), model.end(), configured.begin(),
             [exact](std::int64_t have, std::int64_t want) {
               return have == want || (have == -1 && !exact);
             });
}

std::string named(const ModelConfig& config, const ModelTensor& tensor) {
  return "model '" + config.name() + "', tensor '" + tensor.name + "': ";
}

void require_batched_shape(
    const ModelConfig& config, const ModelTensor& tensor, const Shape& dims, bool exact) {
  if (tensor.shape.empty() || tensor.shape.front() != -1) {
    throw Failure(
        named(config, tensor) +
        "for the model to support batching the shape should have at least 1 dimension and the "
        "first dimension must be -1; but shape expected by the model is " +
        to_string(tensor.shape));
  }
  Shape full = {-1};
  full.insert(full.end(), dims.begin(), dims.end());
  if (fits(tensor.shape, full, exact)) return;
  throw Failure(
      named(config, tensor) + "the model expects " + std::to_string(tensor.shape.size()) +
      " dimensions (shape " + to_string(tensor.shape) + ") but the model configuration specifies " +
      std::to_string(full.size()) +
      " dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit "
      "tensor shape, making complete shape " +
      to_string(full) + ")");
}

void require_shape(
    const ModelConfig& config, const ModelTensor& tensor, const Shape& dims, bool exact) {
  if (tensor.shape.empty()) {
    if (std::all_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim == 1; })) return;
    throw Failure(
        "unable to load model '" + config.name() + "', scalar tensor '" + tensor.name +
        "', should only provide 1 in the model configuration when the model doesn't support "
        "batching. Model configuration provided: " +
        to_string(dims) + ".");
  }
  if (fits(tensor.shape, dims, exact)) return;
  throw Failure(
      named(config, tensor) + "the model expects " + std::to_string(tensor.shape.size()) +
      " dimensions (shape " + to_string(tensor.shape) + ") but the model configuration specifies " +
      std::to_string(dims.size()) + " dimensions (shape " + to_string(dims) + ")");
}

void require_tensor(
    const ModelConfig& config, const std::string& kind, const TensorConfig& item,
    const Tensors& known) {
  const ModelTensor* tensor = find(known, item.name);
  if (tensor == nullptr) {
    std::set<std::string> names;
    for (const ModelTensor& each : known) names.insert(each.name);
    std::string listed;
    for (const std::string& name : names) listed += (listed.empty() ? "" : ", ") + name;
    throw Failure(
        "unexpected inference " + kind + " '" + item.name + "', allowed " + kind +
        "s are: " + listed);
  }
  if (item.data_type != tensor->data_type) {
    throw Failure(
        "unable to load model '" + config.name() + "', configuration expects datatype " +
        item.data_type + " for " + kind + " '" + tensor->name + "', model provides " +
        tensor->data_type);
  }
  const bool exact = kind == "output";
  if (config.batches()) {
    require_batched_shape(config, *tensor, item.model_dims, exact);
  } else {
    require_shape(config, *tensor, item.model_dims, exact);
  }
}

}  // namespace

const ModelTensor* Interface::input(const std::string& name) const noexcept {
  const ModelTensor* found = find(inputs, name);
  return found != nullptr ? found : find(initializers, name);
}

bool Interface::can_batch() const noexcept {
  const auto open = [](const ModelTensor& tensor) {
    return !tensor.shape.empty() && tensor.shape.front() == -1;
  };
  return std::all_of(inputs.begin(), inputs.end(), open) &&
         std::all_of(outputs.begin(), outputs.end(), open);
}

std::optional<Json> completed(
    const ModelConfig& config, const Interface& model, std::int64_t default_batch_size) {
  if (!config.inputs().empty() && !config.outputs().empty()) return std::nullopt;
  Json json = config.json();
  std::int64_t batch_size = config.max_batch_size();
  if (model.can_batch()) {
    if (batch_size == 0) batch_size = default_batch_size;
    json.set("max_batch_size", batch_size);
    if (batch_size > 1 && !json.has("sequence_batching") && !json.has("dynamic_batching")) {
      json.set("dynamic_batching", Json::Object{});
    }
  } else if (batch_size > 0) {
    throw Failure(
        "autofill failed for model '" + config.name() +
        "': model does not support batching while non-zero max_batch_size is specified");
  }
  const auto fill = [&](const char* kind, const Tensors& tensors) {
    Json::Array items;
    for (const ModelTensor& tensor : tensors) items.push_back(item_of(tensor, batch_size > 0));
    json.set(kind, std::move(items));
  };
  if (config.inputs().empty()) fill("input", model.inputs);
  if (config.outputs().empty()) fill("output", model.outputs);
  return json;
}

void require_served(const ModelConfig& config) {
  const Json& json = config.json();
  const Json& sequence = json["sequence_batching"];
  const auto given = [](const Json& list) { return !list.items().empty(); };
  const auto& inputs = config.inputs();
  const bool ragged = std::any_of(
      inputs.begin(), inputs.end(), [](const TensorConfig& input) { return input.ragged; });
  const std::array<std::pair<const char*, bool>, 5> asked = {{
      {"sequence_batching with control_input", given(sequence["control_input"])},
      {"sequence_batching with state", given(sequence["state"])},
      {"batch_input", given(json["batch_input"])},
      {"batch_output", given(json["batch_output"])},
      {"allow_ragged_batch", ragged},
  }};
  for (const auto& [feature, wanted] : asked) {
    if (!wanted) continue;
    throw Failure(
        "unable to load model '" + config.name() + "', " + feature +
        " needs NVIDIA's own backend; serve this model with NVIDIA's container");
  }
}

void require_match(const ModelConfig& config, const Interface& model) {
  const auto& inputs = config.inputs();
  const auto required = std::count_if(
      inputs.begin(), inputs.end(), [](const TensorConfig& input) { return !input.optional; });
  if (static_cast<std::size_t>(required) != model.inputs.size()) {
    throw Failure(
        "unable to load model '" + config.name() + "', configuration expects " +
        std::to_string(required) + " inputs, model provides " +
        std::to_string(model.inputs.size()));
  }
  for (const TensorConfig& input : inputs) {
    if (input.optional && config.batches()) {
      throw Failure(
          "unable to load model '" + config.name() + "', optional input '" + input.name +
          "' is not supported for models that support batching");
    }
  }
  Tensors known = model.inputs;
  known.insert(known.end(), model.initializers.begin(), model.initializers.end());
  for (const TensorConfig& input : inputs) require_tensor(config, "input", input, known);
  for (const TensorConfig& output : config.outputs()) {
    require_tensor(config, "output", output, model.outputs);
  }
}

}  // namespace trimaran
