#include "session.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "errors.h"

namespace trimaran {

namespace {

constexpr const char* kFileName = "model.onnx";
constexpr const char* kInitializers = "session.use_device_allocator_for_initializers";
constexpr const char* kShrinkage = "memory.enable_memory_arena_shrinkage";
constexpr int kTensor = 1;  // ONNX_TYPE_TENSOR
constexpr int kArena = 1;  // OrtArenaAllocator
constexpr int kDefaultMemory = 0;  // OrtMemTypeDefault

bool has_mode(const std::string& path, mode_t mode) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 && (found.st_mode & S_IFMT) == mode;
}

std::string file_of(const ModelConfig& config, const std::string& version_directory) {
  const std::string& named = config.json()["default_model_filename"].text();
  std::string path = version_directory + "/" + (named.empty() ? kFileName : named);
  if (has_mode(path, S_IFDIR)) path += std::string("/") + kFileName;
  if (!has_mode(path, S_IFREG)) {
    throw Failure("unable to find '" + path + "' for model instance '" + config.name() + "'");
  }
  return path;
}

// ONNX Runtime's number for `optimization { graph { level } }`.
int graph_level(std::int64_t configured) {
  switch (configured) {
    case -1: return 1;  // basic
    case 1: return 2;   // extended
    case 2: return 0;   // none
    default: return 99; // all
  }
}

bool runs_in_parallel(const ModelConfig& config) {
  const int mode = config.integer("execution_mode", 0);
  if (mode == 0 || mode == 1) return mode == 1;
  throw Failure(
      "Invalid configuration value provided. Expected values for execution_mode are 0 or 1 but got " +
      std::to_string(mode) + ".");
}

// OpenVINO is ignored: it changes how fast the answers come, and no answer.
void require_known_accelerators(const Json& optimization) {
  const Json& accelerators = optimization["execution_accelerators"];
  for (const Json& item : accelerators["cpu_execution_accelerator"].items()) {
    const std::string& name = item["name"].text();
    if (name != "openvino") throw Failure("unknown Execution Accelerator '" + name + "' is requested");
  }
}

FromOrt<OrtSessionOptions> session_options(const ModelConfig& config) {
  auto options =
      made<OrtSessionOptions>([](auto** place) { return ort().CreateSessionOptions(place); });
  OrtSessionOptions* its = options.get();
  check(ort().SetIntraOpNumThreads(its, config.intra_op_threads()));
  check(ort().SetInterOpNumThreads(its, config.inter_op_threads()));
  if (!config.boolean("enable_mem_arena", true)) check(ort().DisableCpuMemArena(its));
  if (!config.boolean("enable_mem_pattern", true)) check(ort().DisableMemPattern(its));
  if (runs_in_parallel(config)) check(ort().SetSessionExecutionMode(its, 1));
  const Json& optimization = config.json()["optimization"];
  const int level = graph_level(optimization["graph"]["level"].number());
  check(ort().SetSessionGraphOptimizationLevel(its, level));
  if (const auto given = config.parameter(kInitializers)) {
    check(ort().AddSessionConfigEntry(its, kInitializers, given->c_str()));
  }
  // A waiting thread would otherwise spin on a core that another model could use.
  check(ort().AddSessionConfigEntry(its, "session.intra_op.allow_spinning", "0"));
  check(ort().AddSessionConfigEntry(its, "session.inter_op.allow_spinning", "0"));
  for (const Json& library : config.json()["model_operations"]["op_library_filename"].items()) {
    check(ort().RegisterCustomOpsLibrary(its, library.text().c_str()));
  }
  require_known_accelerators(optimization);
  return options;
}

FromOrt<OrtRunOptions> run_options(const ModelConfig& config) {
  const auto shrinkage = config.parameter(kShrinkage);
  if (!shrinkage) return nullptr;
  auto options = made<OrtRunOptions>([](auto** place) { return ort().CreateRunOptions(place); });
  check(ort().AddRunConfigEntry(options.get(), kShrinkage, shrinkage->c_str()));
  return options;
}

ModelTensor tensor_of(std::string name, const OrtTypeInfo* info) {
  constexpr std::array<const char*, 7> kKinds = {
      "UNKNOWN", "TENSOR", "SEQUENCE", "MAP", "OPAQUE", "SPARSE_TENSOR", "OPTIONAL"};
  int kind = 0;
  check(ort().GetOnnxTypeFromTypeInfo(info, &kind));
  if (kind != kTensor) {
    const bool known = kind > 0 && static_cast<std::size_t>(kind) < kKinds.size();
    throw Failure(
        "Unsupported ONNX Type 'ONNX_TYPE_" + std::string(kKinds[known ? kind : 0]) +
        "' for I/O '" + name + "', expected 'ONNX_TYPE_TENSOR'.");
  }
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  int type = 0;
  std::size_t rank = 0;
  check(ort().CastTypeInfoToTensorInfo(info, &tensor));
  check(ort().GetTensorElementType(tensor, &type));
  check(ort().GetDimensionsCount(tensor, &rank));
  Shape shape(rank);
  check(ort().GetDimensions(tensor, shape.data(), rank));
  const ElementType* known = element_type(type);
  return {std::move(name), std::string(known ? known->config : "TYPE_INVALID"), std::move(shape)};
}

template <typename GetCount>
std::vector<ModelTensor> tensors_of(
    const OrtSession* session, GetCount get_count, OnnxRuntime::GetName* get_name,
    OnnxRuntime::GetTypeInfo* get_type_info) {
  OrtAllocator* const allocator = default_allocator();
  const auto free = [allocator](char* text) noexcept {
    FromOrt<OrtStatus>(ort().AllocatorFree(allocator, text));
  };
  std::size_t count = 0;
  check(get_count(session, &count));
  std::vector<ModelTensor> tensors;
  for (std::size_t index = 0; index < count; ++index) {
    char* text = nullptr;
    check(get_name(session, index, allocator, &text));
    const std::unique_ptr<char, decltype(free)> name(text, free);
    const auto info =
        made<OrtTypeInfo>([&](auto** place) { return get_type_info(session, index, place); });
    tensors.push_back(tensor_of(name.get(), info.get()));
  }
  return tensors;
}

}  // namespace

Session::Session(
    const OrtEnv* env, const ModelConfig& config, const std::string& version_directory)
    : run_options_(run_options(config)) {
  const std::string path = file_of(config, version_directory);
  const auto options = session_options(config);
  threads_.follow(options.get());
  session_ = made<OrtSession>(
      [&](auto** place) { return ort().CreateSession(env, path.c_str(), options.get(), place); });
  const auto memory = made<OrtMemoryInfo>(
      [](auto** place) { return ort().CreateCpuMemoryInfo(kArena, kDefaultMemory, place); });
  allocator_ = made<OrtAllocator>([&](auto** place) {
    return ort().CreateAllocator(session_.get(), memory.get(), place);
  });
}

Interface Session::interface() const {
  const OnnxRuntime& api = ort();
  const OrtSession* its = session_.get();
  return {
      tensors_of(
          its, api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo),
      tensors_of(
          its, api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo),
      tensors_of(
          its, api.SessionGetOverridableInitializerCount, api.SessionGetOverridableInitializerName,
          api.SessionGetOverridableInitializerTypeInfo)};
}

std::uint64_t Session::memory() const {
  const auto statistics = made<OrtKeyValuePairs>(
      [&](auto** place) { return ort().AllocatorGetStats(allocator_.get(), place); });
  const auto number = [&](const char* key) -> std::uint64_t {
    const char* text = ort().GetKeyValue(statistics.get(), key);
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  };
  // An arena takes more than it needs from the system, which has no page of what was never used.
  return std::min(number("MaxInUse"), number("TotalAllocated"));
}

std::int32_t thread_id() noexcept {
  static thread_local const auto id = static_cast<std::int32_t>(syscall(SYS_gettid));
  return id;
}

void SessionThreads::follow(OrtSessionOptions* options) {
  check(ort().SessionOptionsSetCustomCreateThreadFn(options, make));
  check(ort().SessionOptionsSetCustomThreadCreationOptions(options, this));
  check(ort().SessionOptionsSetCustomJoinThreadFn(options, join));
}

std::vector<std::int32_t> SessionThreads::ids() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ids_;
}

void SessionThreads::add(std::int32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ids_.push_back(id);
}

// Returns nothing where no thread can be made, which ONNX Runtime reports.
void* SessionThreads::make(void* threads, void (*loop)(void*), void* argument) noexcept {
  auto& its = *static_cast<SessionThreads*>(threads);
  try {
    return new std::thread([&its, loop, argument] {
      its.add(thread_id());
      loop(argument);
    });
  } catch (const std::exception&) {
    return nullptr;
  }
}

void SessionThreads::join(void* thread) noexcept {
  const std::unique_ptr<std::thread> owned(static_cast<std::thread*>(thread));
  owned->join();
}

std::vector<Output> Session::run(
    const std::vector<const char*>& input_names, const std::vector<Feed>& inputs,
    const std::vector<const char*>& output_names) const {
  std::vector<const OrtValue*> fed;
  fed.reserve(inputs.size());
  for (const Feed& input : inputs) fed.push_back(input.value());
  std::vector<OrtValue*> values(output_names.size());
  OrtStatus* status = ort().Run(
      session_.get(), run_options_.get(), input_names.data(), fed.data(), fed.size(),
      output_names.data(), output_names.size(), values.data());
  std::vector<FromOrt<OrtValue>> owned(values.begin(), values.end());
  check(status);
  std::vector<Output> outputs;
  outputs.reserve(owned.size());
  for (std::size_t index = 0; index < owned.size(); ++index) {
    outputs.emplace_back(std::move(owned[index]), output_names[index]);
  }
  return outputs;
}

}  // namespace trimaran
