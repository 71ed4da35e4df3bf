// What Triton calls: its `onnxruntime` backend, on the CPU.
#include <cstdint>
#include <memory>
#include <string>

#include "activity.h"
#include "errors.h"
#include "execution.h"
#include "json.h"
#include "model.h"
#include "onnx_runtime.h"
#include "triton_api.h"

namespace trimaran {

namespace {

constexpr int kWarnings = 2;
constexpr std::int64_t kDefaultBatchSize = 4;

struct Backend {
  FromOrt<OrtEnv> env;
  std::int64_t default_batch_size = kDefaultBatchSize;
  Board board;
};

struct Instance {
  Instance(Board& board, TRITONBACKEND_ModelInstance* triton, Model& its_model, Model::Lease lease)
      : model(its_model),
        session(std::move(lease.session)),
        activity(board, triton, lease.first ? session.get() : nullptr) {}

  Model& model;
  const std::shared_ptr<const Session> session;
  Activity activity;
};

// Options of the command line: `--backend-config=onnxruntime,library=PATH`.
Json options_of(TRITONBACKEND_Backend* backend) {
  TRITONSERVER_Message* message = nullptr;
  const char* text = nullptr;
  std::size_t size = 0;
  check(TRITONBACKEND_BackendConfig(backend, &message));
  check(TRITONSERVER_MessageSerializeToJson(message, &text, &size));
  return Json::parse({text, size})["cmdline"];
}

void require_known_api() {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  check(TRITONBACKEND_ApiVersion(&major, &minor));
  if (major == kApiMajor && minor >= kApiMinor) return;
  throw Failure(
      "this backend needs version " + std::to_string(kApiMajor) + "." + std::to_string(kApiMinor) +
      " of Triton's backend interface, and this tritonserver has " + std::to_string(major) + "." +
      std::to_string(minor),
      ErrorCode::unsupported);
}

std::unique_ptr<Backend> make_backend(TRITONBACKEND_Backend* triton) {
  require_known_api();
  const Json options = options_of(triton);
  load_onnx_runtime(options["library"].text());
  auto backend = std::make_unique<Backend>();
  backend->env = made<OrtEnv>(
      [](auto** place) { return ort().CreateEnv(kWarnings, "onnxruntime", place); });
  if (options.has("default-max-batch-size")) {
    backend->default_batch_size = options["default-max-batch-size"].number();
  }
  return backend;
}

// What this library has put into one of Triton's objects.
template <typename State, typename Object, typename Get>
State& state_of(Object* object, Get get) {
  void* state = nullptr;
  check(get(object, &state));
  return *static_cast<State*>(state);
}

Backend& backend_of(TRITONBACKEND_Model* model) {
  TRITONBACKEND_Backend* owner = nullptr;
  check(TRITONBACKEND_ModelBackend(model, &owner));
  return state_of<Backend>(owner, TRITONBACKEND_BackendState);
}

// Deletes what this library has put into one of Triton's objects.
template <typename State, typename Object, typename Get>
TRITONSERVER_Error* finalized(Object* object, Get get) {
  return guarded([&] {
    void* state = nullptr;
    check(get(object, &state));
    delete static_cast<State*>(state);
  });
}

// Puts a new state into one of Triton's objects, which owns it from then on.
template <typename State, typename Object, typename Set>
void give(Object* object, std::unique_ptr<State> state, Set set) {
  check(set(object, state.get()));
  state.release();
}

}  // namespace

}  // namespace trimaran

#pragma GCC visibility push(default)

extern "C" {

using namespace trimaran;

TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend* backend) {
  return guarded([&] { give(backend, make_backend(backend), TRITONBACKEND_BackendSetState); });
}

TRITONSERVER_Error* TRITONBACKEND_Finalize(TRITONBACKEND_Backend* backend) {
  return finalized<Backend>(backend, TRITONBACKEND_BackendState);
}

// Instances run on the CPU unless a configuration says otherwise, also where there is a GPU.
TRITONSERVER_Error* TRITONBACKEND_GetBackendAttribute(
    TRITONBACKEND_Backend*, TRITONBACKEND_BackendAttribute* attributes) {
  return guarded([&] {
    check(TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
        attributes, InstanceKind::cpu, 0, nullptr, 0));
    check(TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(attributes, true));
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return guarded([&] {
    const Backend& backend = backend_of(model);
    auto made = std::make_unique<Model>(model, backend.env.get(), backend.default_batch_size);
    give(model, std::move(made), TRITONBACKEND_ModelSetState);
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return finalized<Model>(model, TRITONBACKEND_ModelState);
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) {
  return guarded([&] {
    TRITONBACKEND_Model* owner = nullptr;
    check(TRITONBACKEND_ModelInstanceModel(instance, &owner));
    auto& model = state_of<Model>(owner, TRITONBACKEND_ModelState);
    auto made =
        std::make_unique<Instance>(backend_of(owner).board, instance, model, model.session());
    give(instance, std::move(made), TRITONBACKEND_ModelInstanceSetState);
  });
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  return finalized<Instance>(instance, TRITONBACKEND_ModelInstanceState);
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request** requests,
    std::uint32_t count) {
  return guarded([&] {
    auto& own = state_of<Instance>(instance, TRITONBACKEND_ModelInstanceState);
    const Activity::Work work(own.activity);
    execute(instance, own.model, *own.session, requests, count);
  });
}

}  // extern "C"

#pragma GCC visibility pop
