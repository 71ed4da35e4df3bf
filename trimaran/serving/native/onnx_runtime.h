// ONNX Runtime's C interface: what this backend calls of it, and handles that release themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct OrtAllocator;
struct OrtEnv;
struct OrtKeyValuePairs;
struct OrtMemoryInfo;
struct OrtRunOptions;
struct OrtSession;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;

namespace trimaran {

// The table of functions that `OrtGetApiBase()->GetApi(version)` returns. A function keeps its
// position in all versions since the one that added it.
class OnnxRuntime {
  struct Position {
    const void* address;

    template <typename Function>
    operator Function*() const noexcept {
      return reinterpret_cast<Function*>(const_cast<void*>(address));
    }
  };

  Position at(std::size_t position) const noexcept { return {table_[position]}; }

  const void* const* table_;

 public:
  // The newest function here is AllocatorGetStats, which 23 added.
  static constexpr std::uint32_t kApiVersion = 23;

  explicit OnnxRuntime(const void* table) : table_(static_cast<const void* const*>(table)) {}

  using Status = OrtStatus*;

  int (*const GetErrorCode)(const OrtStatus*) = at(1);
  const char* (*const GetErrorMessage)(const OrtStatus*) = at(2);
  Status (*const CreateEnv)(int severity, const char* name, OrtEnv**) = at(3);
  Status (*const CreateSession)(
      const OrtEnv*, const char* path, const OrtSessionOptions*, OrtSession**) = at(7);
  Status (*const Run)(
      OrtSession*, const OrtRunOptions*, const char* const* input_names,
      const OrtValue* const* inputs, std::size_t input_count, const char* const* output_names,
      std::size_t output_count, OrtValue** outputs) = at(9);

  Status (*const CreateSessionOptions)(OrtSessionOptions**) = at(10);
  Status (*const SetSessionExecutionMode)(OrtSessionOptions*, int mode) = at(13);
  Status (*const DisableMemPattern)(OrtSessionOptions*) = at(17);
  Status (*const DisableCpuMemArena)(OrtSessionOptions*) = at(19);
  Status (*const SetSessionGraphOptimizationLevel)(OrtSessionOptions*, int level) = at(23);
  Status (*const SetIntraOpNumThreads)(OrtSessionOptions*, int count) = at(24);
  Status (*const SetInterOpNumThreads)(OrtSessionOptions*, int count) = at(25);

  Status (*const SessionGetInputCount)(const OrtSession*, std::size_t*) = at(30);
  Status (*const SessionGetOutputCount)(const OrtSession*, std::size_t*) = at(31);
  Status (*const SessionGetOverridableInitializerCount)(const OrtSession*, std::size_t*) = at(32);

  using GetTypeInfo = Status(const OrtSession*, std::size_t index, OrtTypeInfo**);
  GetTypeInfo* const SessionGetInputTypeInfo = at(33);
  GetTypeInfo* const SessionGetOutputTypeInfo = at(34);
  GetTypeInfo* const SessionGetOverridableInitializerTypeInfo = at(35);

  using GetName = Status(const OrtSession*, std::size_t index, OrtAllocator*, char** name);
  GetName* const SessionGetInputName = at(36);
  GetName* const SessionGetOutputName = at(37);
  GetName* const SessionGetOverridableInitializerName = at(38);

  Status (*const CreateRunOptions)(OrtRunOptions**) = at(39);
  Status (*const CreateTensorAsOrtValue)(
      OrtAllocator*, const std::int64_t* shape, std::size_t rank, int type, OrtValue**) = at(48);
  Status (*const CreateTensorWithDataAsOrtValue)(
      const OrtMemoryInfo*, void* data, std::size_t size, const std::int64_t* shape,
      std::size_t rank, int type, OrtValue**) = at(49);
  Status (*const IsTensor)(const OrtValue*, int* answer) = at(50);
  Status (*const GetTensorMutableData)(OrtValue*, void**) = at(51);
  Status (*const GetStringTensorDataLength)(const OrtValue*, std::size_t*) = at(53);
  Status (*const GetStringTensorContent)(
      const OrtValue*, void* content, std::size_t size, std::size_t* offsets,
      std::size_t offset_count) = at(54);
  Status (*const CastTypeInfoToTensorInfo)(
      const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**) = at(55);
  Status (*const GetOnnxTypeFromTypeInfo)(const OrtTypeInfo*, int* type) = at(56);
  Status (*const GetTensorElementType)(const OrtTensorTypeAndShapeInfo*, int* type) = at(60);
  Status (*const GetDimensionsCount)(const OrtTensorTypeAndShapeInfo*, std::size_t*) = at(61);
  Status (*const GetDimensions)(
      const OrtTensorTypeAndShapeInfo*, std::int64_t* dims, std::size_t count) = at(62);
  Status (*const GetTensorTypeAndShape)(
      const OrtValue*, OrtTensorTypeAndShapeInfo**) = at(65);
  Status (*const CreateCpuMemoryInfo)(int allocator, int memory, OrtMemoryInfo**) = at(69);
  Status (*const AllocatorFree)(OrtAllocator*, void*) = at(76);
  Status (*const GetAllocatorWithDefaultOptions)(OrtAllocator**) = at(78);

  void (*const ReleaseEnv)(OrtEnv*) = at(92);
  void (*const ReleaseStatus)(OrtStatus*) = at(93);
  void (*const ReleaseMemoryInfo)(OrtMemoryInfo*) = at(94);
  void (*const ReleaseSession)(OrtSession*) = at(95);
  void (*const ReleaseValue)(OrtValue*) = at(96);
  void (*const ReleaseRunOptions)(OrtRunOptions*) = at(97);
  void (*const ReleaseTypeInfo)(OrtTypeInfo*) = at(98);
  void (*const ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo*) = at(99);
  void (*const ReleaseSessionOptions)(OrtSessionOptions*) = at(100);

  Status (*const AddSessionConfigEntry)(
      OrtSessionOptions*, const char* key, const char* value) = at(130);
  Status (*const CreateAllocator)(
      const OrtSession*, const OrtMemoryInfo*, OrtAllocator**) = at(131);
  void (*const ReleaseAllocator)(OrtAllocator*) = at(132);
  Status (*const AddRunConfigEntry)(OrtRunOptions*, const char* key, const char* value) = at(165);
  Status (*const HasValue)(const OrtValue*, int* answer) = at(192);

  // A thread that the caller makes: ONNX Runtime's loop runs in it until it is joined.
  using MakeThread = void*(void* options, void (*loop)(void*), void* argument);
  Status (*const SessionOptionsSetCustomCreateThreadFn)(OrtSessionOptions*, MakeThread*) = at(196);
  Status (*const SessionOptionsSetCustomThreadCreationOptions)(
      OrtSessionOptions*, void* options) = at(197);
  Status (*const SessionOptionsSetCustomJoinThreadFn)(
      OrtSessionOptions*, void (*join)(void*)) = at(198);

  Status (*const RegisterCustomOpsLibrary)(OrtSessionOptions*, const char* path) = at(228);
  Status (*const GetResizedStringTensorElementBuffer)(
      OrtValue*, std::size_t index, std::size_t size, char** buffer) = at(252);
  const char* (*const GetKeyValue)(const OrtKeyValuePairs*, const char* key) = at(297);
  void (*const ReleaseKeyValuePairs)(OrtKeyValuePairs*) = at(300);
  Status (*const AllocatorGetStats)(const OrtAllocator*, OrtKeyValuePairs**) = at(319);
};

// Loads the library at `path`, for the rest of the process. Throws a Failure that says why it
// cannot be used.
void load_onnx_runtime(const std::string& path);

// The loaded one.
const OnnxRuntime& ort() noexcept;

struct OrtRelease {
  void operator()(OrtAllocator* it) const noexcept { ort().ReleaseAllocator(it); }
  void operator()(OrtEnv* it) const noexcept { ort().ReleaseEnv(it); }
  void operator()(OrtKeyValuePairs* it) const noexcept { ort().ReleaseKeyValuePairs(it); }
  void operator()(OrtStatus* it) const noexcept { ort().ReleaseStatus(it); }
  void operator()(OrtMemoryInfo* it) const noexcept { ort().ReleaseMemoryInfo(it); }
  void operator()(OrtSession* it) const noexcept { ort().ReleaseSession(it); }
  void operator()(OrtValue* it) const noexcept { ort().ReleaseValue(it); }
  void operator()(OrtRunOptions* it) const noexcept { ort().ReleaseRunOptions(it); }
  void operator()(OrtTypeInfo* it) const noexcept { ort().ReleaseTypeInfo(it); }
  void operator()(OrtTensorTypeAndShapeInfo* it) const noexcept {
    ort().ReleaseTensorTypeAndShapeInfo(it);
  }
  void operator()(OrtSessionOptions* it) const noexcept { ort().ReleaseSessionOptions(it); }
};

// The allocator of ONNX Runtime's own, which is nobody's to release. Throws a Failure.
OrtAllocator* default_allocator();

// What this library owns of ONNX Runtime's.
template <typename T>
using FromOrt = std::unique_ptr<T, OrtRelease>;

// Throws a Failure with ONNX Runtime's words where it returned an error.
void check(OrtStatus* status);

// The object that `make`, given a place for it, makes.
template <typename T, typename Make>
FromOrt<T> made(Make&& make) {
  T* object = nullptr;
  check(make(&object));
  return FromOrt<T>(object);
}

}  // namespace trimaran
